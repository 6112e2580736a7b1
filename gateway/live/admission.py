"""Who may enter which room: asked when a caller subscribes, and again with every token that follows."""

from dataclasses import dataclass
from uuid import UUID

from events.ids import checked_name, derived_id
from events.system import SYSTEM
from events.task import FINAL
from gateway.auth.bearer import READ, Authenticator, Principal
from gateway.errors import MissingScopeError, NotFoundError
from gateway.live.rooms import LISTS, Room
from gateway.tasks.lookup import Lookup, parsed_id
from storage.log import session_owner
from storage.proposals import find_proposal
from storage.reading import Database


@dataclass(frozen=True, slots=True)
class Found:
    """A room as a caller may see it, and whether the task it is about has ended."""

    room: Room
    ended: bool = False


class Admission:
    """Turns tokens into callers and names into rooms; what is not the caller's is not found."""

    def __init__(self, authenticator: Authenticator, lookup: Lookup, engine: Database) -> None:
        self._authenticator = authenticator
        self._lookup = lookup
        self._engine = engine

    async def principal(self, token: str | None) -> Principal:
        """The bearer of a token that lets read. Raises UnauthorizedError, MissingScopeError."""
        principal = await self._authenticator.principal(token)
        principal.must(READ)
        return principal

    async def stranger(self) -> None:
        """Somebody opens a socket without a token. Raises RateLimitedError: too many have, from the same address."""
        await self._authenticator.stranger()

    async def room(self, principal: Principal, name: str) -> Found:
        """The room of that name. Raises NotFoundError, MissingScopeError, StoreUnavailableError."""
        kind, colon, what = name.partition(":")
        if not colon:
            return Found(self._list(principal, kind))
        if kind == "task":
            return await self._task(principal, parsed_id(what))
        if kind == "session":
            return Found(await self._session(principal, what))
        if kind == "agent":
            owner = None if principal.has_tenant else principal.owner
            return Found(Room("agent", principal.tenant, owner, checked_name(what, "the agent's id")))
        raise NotFoundError("There is no such room.")

    async def _task(self, principal: Principal, task_id: UUID) -> Found:
        """A task of the caller's, or the thread of a proposal that was shared with it."""
        try:
            found = await self._lookup.whereabouts(principal, task_id)
        except NotFoundError:
            shared = await find_proposal(self._engine, derived_id(task_id, "proposal"), principal.owner)
            if shared is None or shared.access is None or shared.tenant != principal.tenant:
                raise
            room = Room("task", shared.tenant, shared.owner, str(task_id), guest=principal.owner)
            return Found(room, shared.task_status in FINAL)
        return Found(Room("task", found.tenant, found.owner, str(task_id)), found.ended)

    def _list(self, principal: Principal, name: str) -> Room:
        kind = next((kind for kind in LISTS if kind == name), None)
        if kind is None:
            raise NotFoundError("There is no such room.")
        if kind == "system":
            room = Room(kind, SYSTEM, None)
            if not may_enter(principal, room):
                raise MissingScopeError
            return room
        return Room(kind, principal.tenant, None if principal.has_tenant else principal.owner)

    async def _session(self, principal: Principal, session_id: str) -> Room:
        found = await session_owner(self._engine, checked_name(session_id, "the session's id"))
        if found is None or not principal.may_see(*found):
            raise NotFoundError
        tenant, owner = found
        return Room("session", tenant, owner, session_id)


def may_enter(principal: Principal, room: Room) -> bool:
    """Whether a room that was entered once may still be read with this token."""
    if room.kind == "system":
        return principal.is_admin
    if room.tenant != principal.tenant:
        return False
    return principal.has_tenant or principal.owner in (room.owner, room.guest)
