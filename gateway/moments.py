"""What a room holds at one moment: the body of its GET and the place in the log that belongs to it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from events.cursor import Cursor
from events.task import FINAL
from gateway.encoding import to_json
from gateway.errors import NotFoundError
from gateway.rooms import Kind, Room
from gateway.views import page_view, task_view
from storage.log import position
from storage.reading import Database
from storage.tasks import TaskFilter, find_task, list_moment

_LIST = 50
_MAX_BYTES = 512 * 1024
"""Of a list: client libraries refuse messages of more than a mebibyte; the rest of the list is a GET away."""


@dataclass(frozen=True, slots=True)
class Moment:
    """How a room stands, its place in the log, and whether its task has ended."""

    place: Cursor
    data: object
    ended: bool = False


class Moments:
    """Reads rooms as they are. A room without a body of its own gives its place alone."""

    def __init__(self, engine: Database) -> None:
        self._engine = engine
        self._readers: dict[Kind, Callable[[Room], Awaitable[Moment]]] = {
            "task": self._task,
            "tasks": self._tasks,
        }

    async def of(self, room: Room) -> Moment:
        """The room at one moment. Raises NotFoundError, StoreUnavailableError."""
        reader = self._readers.get(room.kind)
        return await reader(room) if reader is not None else Moment(await position(self._engine), None)

    async def _task(self, room: Room) -> Moment:
        row = await find_task(self._engine, UUID(room.id))
        if row is None:
            raise NotFoundError
        return Moment(row.at, task_view(row), row.status in FINAL)

    async def _tasks(self, room: Room) -> Moment:
        rows, place = await list_moment(self._engine, TaskFilter(room.tenant, room.owner), _LIST + 1)
        fitting = _LIST
        while len(to_json(page := page_view(rows[: fitting + 1], fitting))) > _MAX_BYTES and fitting > 1:
            fitting //= 2
        return Moment(place, page)
