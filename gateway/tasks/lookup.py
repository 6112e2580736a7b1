"""Finding a caller's tasks: rows from Postgres, or, before there is a row, what this process accepted just now."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from events.errors import StoreUnavailableError
from events.task import FINAL, Kind, Priority
from gateway.auth.bearer import Principal
from gateway.errors import NotFoundError
from storage.reading import Database
from storage.tasks import TaskRow, find_task

_MAX_BYTES = 16 * 1024 * 1024
_MAX_TASKS = 10_000


@dataclass(frozen=True, slots=True)
class Recent:
    """A task whose event is in the log and whose row may not be in Postgres yet."""

    id: UUID
    tenant: str
    owner: str
    kind: Kind
    priority: Priority
    prompt: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Whose a task is, and whether it has ended."""

    tenant: str
    owner: str
    ended: bool


class Recents:
    """The latest accepted tasks without a confirmed row, bounded in number and bytes."""

    def __init__(self) -> None:
        self._tasks: OrderedDict[UUID, Recent] = OrderedDict()
        self._bytes = 0

    def add(self, task: Recent) -> None:
        """Remember one; the oldest make room."""
        if task.id in self._tasks:
            return
        self._tasks[task.id] = task
        self._bytes += len(task.prompt)
        while len(self._tasks) > _MAX_TASKS or (self._bytes > _MAX_BYTES and len(self._tasks) > 1):
            _, oldest = self._tasks.popitem(last=False)
            self._bytes -= len(oldest.prompt)

    def get(self, task_id: UUID) -> Recent | None:
        """The task, if it was accepted here lately."""
        return self._tasks.get(task_id)


class Lookup:
    """Tasks as a caller may see them: what is not theirs is not found."""

    def __init__(self, engine: Database, recents: Recents) -> None:
        self._engine = engine
        self._recents = recents

    async def task(self, principal: Principal, task_id: UUID) -> TaskRow | Recent:
        """The task, or what is known of it before its row exists.

        Raises NotFoundError; StoreUnavailableError if Postgres is away and this process knows nothing of it.
        """
        recent = self._recents.get(task_id)
        if recent is not None and not principal.may_see(recent.tenant, recent.owner):
            raise NotFoundError
        try:
            row = await find_task(self._engine, task_id)
        except StoreUnavailableError:
            if recent is None:
                raise
            return recent
        if row is not None and principal.may_see(row.tenant, row.owner):
            return row
        if row is None and recent is not None:
            return recent
        raise NotFoundError

    async def row(self, task_id: UUID) -> TaskRow | None:
        """The row, for a caller whose right to it follows from the id itself (an Idempotency-Key's)."""
        return await find_task(self._engine, task_id)

    async def whereabouts(self, principal: Principal, task_id: UUID) -> Whereabouts:
        """Whose the task is; raises as `task` does."""
        found = await self.task(principal, task_id)
        return Whereabouts(found.tenant, found.owner, isinstance(found, TaskRow) and found.status in FINAL)


def parsed_id(text: str) -> UUID:
    """A task id in its canonical form; anything else names nothing (404)."""
    try:
        task_id = UUID(text)
    except ValueError:
        raise NotFoundError from None
    if str(task_id) != text.lower():
        raise NotFoundError
    return task_id
