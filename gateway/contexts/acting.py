"""Finds contexts for a caller and passes commands on; what is not the caller's to see is not found."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from starlette.requests import Request

from events.base import Event, EventData
from events.context import ContextChange
from events.context_data import Version, merged
from events.errors import PermanentError
from gateway.accept import SOURCE
from gateway.auth.bearer import Authenticator, Principal
from gateway.commands import Answered, Commands
from gateway.contexts.errors import ContextConflictError, ContextNotFoundError, MergeConflictError, context_refusal
from gateway.errors import NotFoundError, StaleDigestError
from gateway.http.preferences import Key
from gateway.tasks.lookup import parsed_id
from gateway.trail import Trail
from storage.contexts import ContextRow, find_context, list_changes
from storage.reading import Database

_STRONG = re.compile(r'"([1-9]\d{0,8})"\Z')
_CONFLICT = "context_conflict"


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose context a command is about."""

    tenant: str
    owner: str
    session_id: str | None = None


class Contexts:
    """For all routes of contexts."""

    def __init__(self, authenticator: Authenticator, commands: Commands, engine: Database) -> None:
        self._authenticator = authenticator
        self._commands = commands
        self._engine = engine

    async def principal(self, request: Request, scope: str) -> Principal:
        """The caller, who has this scope. Raises UnauthorizedError, MissingScopeError."""
        return await self._authenticator.caller(request, scope)

    async def find(self, principal: Principal, context_id: str | UUID, *, closed: bool = False) -> ContextRow:
        """The context, if `closed` even one that is no more. Raises ContextNotFoundError, StoreUnavailableError."""
        return await find_for(self._engine, principal, context_id, closed=closed)

    async def ask(self, request: Request, whose: Whose, data: ContextChange, key: Key | None) -> Answered:
        """What became of a command. Raises what the keeper refused it for."""
        event: Event[EventData] = Event.first(
            data,
            source=SOURCE,
            tenant=whose.tenant,
            owner=whose.owner,
            session_id=whose.session_id or str(data.context_id),
            event_id=key.event_id if key else None,
            traceparent=Trail.of(request.scope).traceparent,
        )
        answered = await self._commands.ask(event, key)
        if answered.refusal == _CONFLICT:
            raise await self._conflict(data, seen_by_tag="if-match" in request.headers)
        if answered.refusal is not None:
            raise context_refusal(answered.refusal)
        return answered

    async def _conflict(self, data: ContextChange, *, seen_by_tag: bool) -> PermanentError:
        """What is in the way, as things are now."""
        target = await find_context(self._engine, data.context_id)
        if target is None:
            return ContextNotFoundError()
        if data.expected_version not in (None, target.about.version):
            changes = await list_changes(self._engine, data.context_id, None, 100)
            since = [one.keys for one in changes if one.version > (data.expected_version or 0)]
            error = ContextConflictError(target.about.version, _each_once(since))
            return StaleDigestError() if seen_by_tag else error
        sources = [await find_context(self._engine, one) for one in data.sources]
        versions = [Version(one.data, one.about.updated_at) for one in (target, *sources) if one is not None]
        conflicts = merged(versions[0], versions[1:], "manual").conflicts
        return MergeConflictError(target.about.version, conflicts[:100])


async def find_for(
    engine: Database, principal: Principal, context_id: str | UUID, *, closed: bool = False
) -> ContextRow:
    """As `Contexts.find`, for a caller who is known already."""
    try:
        row = await find_context(engine, parsed_id(str(context_id)))
    except NotFoundError:
        raise ContextNotFoundError from None
    if row is None or not principal.may_see(row.about.tenant, row.about.owner):
        raise ContextNotFoundError
    if not row.about.open and not closed:
        raise ContextNotFoundError
    return row


def whose(row: ContextRow) -> Whose:
    """Whose an existing context is."""
    return Whose(row.about.tenant, row.about.owner, row.about.session_id)


def expected(request: Request, said: int | None) -> int | None:
    """The version that If-Match names (RFC 9110, 13.1.1), else the one in the body; a tag of ours or stale."""
    given = request.headers.get("if-match", "*").strip()
    if given == "*":
        return said
    named = _STRONG.match(given)
    if named is None or said not in (None, int(named[1])):
        raise StaleDigestError
    return int(named[1])


def tag(row: ContextRow) -> dict[str, str]:
    """The ETag of a context: its version."""
    return {"ETag": f'"{row.about.version}"'}


def _each_once(lists: Iterable[list[str]]) -> list[str]:
    return sorted({place for places in lists for place in places})[:100]
