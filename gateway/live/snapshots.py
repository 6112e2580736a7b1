"""What a room holds at one moment: the body of its GET and the place in the log from which events go on.

Tasks and sessions are read with their place in one statement. The place of agents and proposals is read just before
them: an event may be shown again that the body has already, and none is left out.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from events.cursor import Cursor
from events.task import FINAL
from gateway.agents.views import agent_view
from gateway.agents.views import page_view as agents_view
from gateway.encoding import to_json
from gateway.errors import NotFoundError
from gateway.live.rooms import Kind, Room
from gateway.sessions.view import session_payload
from gateway.tasks.views import page_view, task_view
from gateway.workflows.views import page as proposals_page
from gateway.workflows.views import proposal_summary
from storage.agents import find_agent, list_agents
from storage.log import position
from storage.proposals import ProposalFilter, list_proposals
from storage.reading import Database
from storage.sessions import SessionFilter, SessionRow, find_session, page_of_sessions
from storage.tasks import TaskFilter, find_task, list_moment

_LIST = 50
_MAX_BYTES = 512 * 1024
"""Of a list: client libraries refuse messages of more than a mebibyte; the rest of the list is a GET away."""

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How a room stands, its place in the log, and whether its task has ended."""

    place: Cursor
    data: object
    ended: bool = False


class Snapshots:
    """Reads rooms as they are. A room without a body of its own gives its place alone."""

    def __init__(self, engine: Database) -> None:
        self._engine = engine
        self._readers: dict[Kind, Callable[[Room], Awaitable[Snapshot]]] = {
            "task": self._task,
            "tasks": self._tasks,
            "session": self._session,
            "sessions": self._sessions,
            "agent": self._agent,
            "agents": self._agents,
            "proposals": self._proposals,
        }

    async def of(self, room: Room) -> Snapshot:
        """The room at one moment. Raises NotFoundError, StoreUnavailableError."""
        reader = self._readers.get(room.kind)
        return await reader(room) if reader is not None else Snapshot(await position(self._engine), None)

    async def _task(self, room: Room) -> Snapshot:
        row = await find_task(self._engine, UUID(room.id))
        if row is None:
            raise NotFoundError
        return Snapshot(row.at, task_view(row), row.status in FINAL)

    async def _tasks(self, room: Room) -> Snapshot:
        rows, place = await list_moment(self._engine, TaskFilter(room.tenant, room.owner), _LIST + 1)
        return Snapshot(place, _fitting(rows, page_view))

    async def _session(self, room: Room) -> Snapshot:
        row = await find_session(self._engine, room.id or "")
        if row is None:
            raise NotFoundError
        return Snapshot(Cursor(row.log_epoch, row.log_position), session_payload(row))

    async def _sessions(self, room: Room) -> Snapshot:
        place = await position(self._engine)
        wanted = SessionFilter(room.tenant, room.owner)
        rows, total = await page_of_sessions(self._engine, wanted, skip=0, limit=_LIST)

        def view(shown: Sequence[SessionRow], limit: int) -> Mapping[str, object]:
            items = [session_payload(row) for row in shown[:limit]]
            return {"items": items, "total": total, "page": 1, "page_size": limit}

        return Snapshot(place, _fitting(rows, view))

    async def _agent(self, room: Room) -> Snapshot:
        place = await position(self._engine)
        row = await find_agent(self._engine, room.tenant, room.id or "")
        return Snapshot(place, agent_view(row) if row is not None else None)

    async def _agents(self, room: Room) -> Snapshot:
        place = await position(self._engine)
        rows = await list_agents(self._engine, room.tenant, limit=_LIST + 1)
        return Snapshot(place, _fitting(rows, agents_view))

    async def _proposals(self, room: Room) -> Snapshot:
        place = await position(self._engine)
        wanted = ProposalFilter(room.tenant, room.owner)
        rows = await list_proposals(self._engine, wanted, None, _LIST + 1)
        return Snapshot(
            place,
            _fitting(rows, lambda shown, limit: proposals_page([proposal_summary(row) for row in shown], shown, limit)),
        )


def _fitting(rows: Sequence[R], view: Callable[[Sequence[R], int], Mapping[str, object]]) -> Mapping[str, object]:
    """The first page of a list, as long as a message can carry."""
    limit = _LIST
    while len(to_json(page := view(rows[: limit + 1], limit))) > _MAX_BYTES and limit > 1:
        limit //= 2
    return page
