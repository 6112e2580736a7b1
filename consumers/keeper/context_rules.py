"""What each command makes of a context: pure rules, each given the scene that the command comes upon.

What is nobody's, another's or gone is unknown alike. That a fold goes in order makes each change a compare-and-set.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from consumers.keeper.context_state import Change, ContextShelf, ContextState, shelf_id
from consumers.keeper.session_state import SessionState
from consumers.keeper.world import RefusedError, World
from events.base import JsonObject
from events.context import TTL, ContextAction, ContextChange, ContextScope
from events.context_data import (
    NoSuchPlaceError,
    Version,
    changed_by,
    differences,
    fault_of,
    keys_in,
    merged,
    size_of,
)

MAX_CONTEXTS = 1_000
"""Contexts that one owner may have at a time."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A command, and what is there when it comes."""

    world: World
    data: ContextChange
    tenant: str
    owner: str
    at: datetime

    def own(self, context_id: UUID) -> ContextState:
        """The owner's context, which is there still. Raises RefusedError."""
        found = self.world.get(ContextState, context_id)
        if found is None or not found.open or (found.tenant, found.owner) != (self.tenant, self.owner):
            raise RefusedError("unknown_context")
        if found.expires_at is not None and self.at >= found.expires_at and self.data.action != "expire":
            raise RefusedError("unknown_context")
        return found

    def target(self) -> ContextState:
        """The context that is to change, if it has the version that was seen. Raises RefusedError."""
        found = self.own(self.data.context_id)
        if self.data.expected_version not in (None, found.version):
            raise RefusedError("context_conflict")
        return found

    def must_be_in_own_session(self, session_id: str | None) -> None:
        """Raise RefusedError unless it is the owner's and open."""
        session = None if session_id is None else self.world.get(SessionState, session_id)
        if session is None or (session.tenant, session.owner) != (self.tenant, self.owner):
            raise RefusedError("unknown_session")
        if session.status == "archived":
            raise RefusedError("session_archived")

    def expiry(self, scope: ContextScope, ttl: int | None) -> datetime | None:
        """When a context that changes now is past its time."""
        seconds = TTL[scope] if ttl is None else ttl
        return None if seconds is None else self.at + timedelta(seconds=seconds)

    def born(self, data: JsonObject, scope: ContextScope, copied: ContextState | None = None) -> ContextState:
        """A new context of the owner's. Raises RefusedError if there is no room for it."""
        if self.world.get(ContextState, self.data.context_id) is not None:
            raise RefusedError("context_exists")
        shelf = self.world.get(ContextShelf, shelf_id(self.tenant, self.owner))
        if shelf is not None and shelf.open >= MAX_CONTEXTS:
            raise RefusedError("too_many_contexts")
        ttl = self.data.ttl_seconds
        return ContextState(
            id=self.data.context_id,
            tenant=self.tenant,
            owner=self.owner,
            scope=scope,
            session_id=self.data.session_id,
            agent_id=self.data.agent_id,
            open=True,
            version=1,
            data=data,
            size=size_of(data),
            keys=keys_in(data),
            ttl_seconds=ttl,
            shared_from=copied.id if copied else None,
            created_at=self.at,
            updated_at=self.at,
            updated_by=self.data.by,
            expires_at=self.expiry(scope, ttl),
        )

    def next(self, before: ContextState, data: JsonObject) -> ContextState:
        """The version after `before`, with this data."""
        return before._replace(
            version=before.version + 1,
            data=data,
            size=size_of(data),
            keys=keys_in(data),
            updated_at=self.at,
            updated_by=self.data.by,
            expires_at=self.expiry(before.scope, before.ttl_seconds),
        )


def change_by(scene: Scene) -> Change | None:
    """What the command of the scene makes of its context, None if that stays as it is. Raises RefusedError."""
    return _RULES[scene.data.action](scene)


def _created(scene: Scene) -> Change:
    data = scene.data.data or {}
    scope = scene.data.scope or "temporary"
    if (fault := fault_of(data)) is not None:
        raise RefusedError(fault)
    if scope == "session" or scene.data.session_id is not None:
        scene.must_be_in_own_session(scene.data.session_id)
    return Change("create", scene.born(data, scope), differences({}, data).places)


def _changed(scene: Scene) -> Change | None:
    before = scene.target()
    try:
        data = changed_by(before.data, scene.data.ops)
    except NoSuchPlaceError:
        raise RefusedError("not_an_object") from None
    return _with_data(scene, before, data)


def _merged(scene: Scene) -> Change | None:
    before = scene.target()
    sources = [scene.own(one) for one in scene.data.sources]
    if before.scope == "global" and any(source.scope != "global" for source in sources):
        raise RefusedError("context_scope_mismatch")
    strategy = scene.data.strategy or "manual"
    joined = merged(
        Version(before.data, before.updated_at), [Version(one.data, one.updated_at) for one in sources], strategy
    )
    if strategy == "manual" and joined.conflicts:
        raise RefusedError("context_conflict")
    return _with_data(scene, before, joined.data, joined.conflicts)


def _with_data(scene: Scene, before: ContextState, data: JsonObject, conflicts: tuple[str, ...] = ()) -> Change | None:
    if (fault := fault_of(data)) is not None:
        raise RefusedError(fault)
    keys = differences(before.data, data).places
    if not keys:
        return None
    return Change(scene.data.action, scene.next(before, data), keys, conflicts, scene.data.sources)


def _shared(scene: Scene) -> Change:
    """A copy in another session: what is changed there is not changed here."""
    if len(scene.data.sources) != 1:
        raise RefusedError("unknown_context")
    source = scene.own(scene.data.sources[0])
    if source.scope not in ("session", "agent"):
        raise RefusedError("context_scope_mismatch")
    scene.must_be_in_own_session(scene.data.session_id)
    born = scene.born(source.data, "session", source)
    return Change("share", born, differences({}, born.data).places, sources=scene.data.sources)


def _promoted(scene: Scene) -> Change | None:
    before = scene.target()
    if before.scope == "temporary":
        raise RefusedError("context_scope_mismatch")
    if before.scope == "global":
        return None
    widened = before._replace(scope="global", session_id=None, agent_id=None, ttl_seconds=None)
    return Change("promote", scene.next(widened, before.data), ())


def _closed(scene: Scene) -> Change:
    """What was in it goes: only that it was there is kept. The janitor names the version that is past its time."""
    after = scene.next(scene.target(), {})._replace(open=False, expires_at=None)
    return Change(scene.data.action, after, ())


_RULES: Mapping[ContextAction, Callable[[Scene], Change | None]] = {
    "create": _created,
    "change": _changed,
    "merge": _merged,
    "share": _shared,
    "promote": _promoted,
    "delete": _closed,
    "expire": _closed,
}
