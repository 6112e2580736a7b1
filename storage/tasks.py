"""Questions about tasks: one by id, a page of many, each with the place in the log that it belongs to."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, Uuid, cast, func, literal, select, true, tuple_
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from events.base import JsonObject
from events.cursor import Cursor
from storage.models import keeper, task, verdict
from storage.reading import fetch, one_moment

Anything = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task as its owner may see it, with its verdict; the fingerprint tells a repeat from another request."""

    id: UUID
    tenant: str
    owner: str
    session_id: str | None
    kind: str
    priority: str
    spec: JsonObject
    body_sha256: str | None
    created_at: datetime
    deadline_at: datetime
    parent_id: UUID | None
    depends_on: list[JsonObject] | None
    effects_done: bool | None
    status: str
    version: int
    attempt: int
    reason: str | None
    detail: str | None
    agent_id: str | None
    run_id: UUID | None
    result: JsonObject | None
    error: JsonObject | None
    updated_at: datetime
    finished_at: datetime | None
    decision: str | None
    findings: list[JsonObject] | None
    verdict_reason: str | None
    log_epoch: str
    log_position: int

    @property
    def at(self) -> Cursor:
        """The place in the log that this state belongs to: read by the same statement."""
        return Cursor(self.log_epoch, self.log_position)


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks to list: of one owner, or of the whole tenant when `owner` is None."""

    tenant: str
    owner: str | None
    status: Sequence[str] = field(default=())
    kind: Sequence[str] = field(default=())
    priority: Sequence[str] = field(default=())
    created_after: datetime | None = None
    created_before: datetime | None = None
    session_id: str | None = None
    parent_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ends: lists run from the newest task to the oldest."""

    created_at: datetime
    id: UUID


DEPENDS_ON = func.coalesce(task.c.course["linked"], task.c.spec["depends_on"])
"""As it was asked for, unless that was changed."""
_ELSEWHERE = {
    "depends_on": DEPENDS_ON,
    "decision": verdict.c.decision,
    "findings": verdict.c.findings,
    "verdict_reason": verdict.c.reason,
    "log_epoch": keeper.c.epoch,
    "log_position": keeper.c.position,
}
_PUBLIC = [
    _ELSEWHERE[shown.name].label(shown.name) if shown.name in _ELSEWHERE else task.c[shown.name]
    for shown in fields(TaskRow)
]
_TASKS: Select[Anything] = select(*_PUBLIC).select_from(
    task.outerjoin(verdict, verdict.c.task_id == task.c.id).join(keeper, true()),
)


async def find_task(engine: AsyncEngine, task_id: UUID) -> TaskRow | None:
    """The task, whoever owns it (the caller must look), or None."""
    rows = await fetch(engine, _TASKS.where(task.c.id == task_id))
    return _task(rows[0]) if rows else None


async def list_tasks(engine: AsyncEngine, wanted: TaskFilter, before: Place | None, limit: int) -> list[TaskRow]:
    """At most `limit` tasks, newest first, from just below `before`."""
    return [_task(row) for row in await fetch(engine, _page(wanted, before, limit))]


async def list_moment(engine: AsyncEngine, wanted: TaskFilter, limit: int) -> tuple[list[TaskRow], Cursor]:
    """The newest tasks and the position of the log that they belong to."""
    async with one_moment(engine) as connection:
        rows = (await connection.execute(_page(wanted, None, limit))).all()
        return [_task(row) for row in rows], await _position(connection)


async def _position(connection: AsyncConnection) -> Cursor:
    row = (await connection.execute(select(keeper.c.epoch, keeper.c.position))).one()
    return Cursor(row.epoch, row.position)


def _page(wanted: TaskFilter, before: Place | None, limit: int) -> Select[Anything]:
    conditions: list[ColumnElement[bool]] = [task.c.tenant == wanted.tenant]
    if wanted.owner is not None:
        conditions.append(task.c.owner == wanted.owner)
    for column, values in (
        (task.c.status, wanted.status),
        (task.c.kind, wanted.kind),
        (task.c.priority, wanted.priority),
    ):
        if values:
            conditions.append(column.in_(list(values)))
    if wanted.session_id is not None:
        conditions.append(task.c.session_id == wanted.session_id)
    if wanted.parent_id is not None:
        conditions.append(task.c.parent_id == wanted.parent_id)
        conditions.append(task.c.id.in_(_children_of(wanted.parent_id)))
    if wanted.created_after is not None:
        conditions.append(task.c.created_at > wanted.created_after)
    if wanted.created_before is not None:
        conditions.append(task.c.created_at < wanted.created_before)
    if before is not None:
        place = tuple_(
            literal(before.created_at, TIMESTAMP(timezone=True)),
            literal(before.id, Uuid()),
        )
        conditions.append(tuple_(task.c.created_at, task.c.id) < place)
    return _TASKS.where(*conditions).order_by(task.c.created_at.desc(), task.c.id.desc()).limit(limit)


def _children_of(parent_id: UUID) -> Select[tuple[UUID]]:
    """Those that the parent knows of: one that was refused names it too."""
    parent = task.alias("parent")
    named = func.jsonb_array_elements_text(parent.c.course["children"])
    return select(cast(named, Uuid)).where(parent.c.id == parent_id)


def _task(row: Row[Anything]) -> TaskRow:
    return TaskRow(*row)  # type: ignore[arg-type,call-arg]  # the columns are listed in the order of the fields
