"""Questions about sessions: one by id, a page of many, each with the task whose status is its own."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Integer, Row, Select, and_, cast, false, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncEngine

from events.base import JsonObject
from storage.models import checkpoint_line, keeper, run, session, task, tool_call
from storage.reading import fetch, one_moment

Anything = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session as its owner may see it; what begins with `task_` is of the task that its status comes from."""

    id: str
    tenant: str
    owner: str
    kind: str
    status: str
    title: str | None
    session_type: str | None
    tags: list[str]
    metadata: JsonObject
    agent_config: JsonObject | None
    max_duration_seconds: int | None
    parent_id: str | None
    task_id: UUID | None
    last_seq: int
    version: int
    created_at: datetime
    updated_at: datetime
    task_status: str | None
    task_reason: str | None
    task_detail: str | None
    task_priority: str | None
    task_spec: JsonObject | None
    task_attempt: int | None
    task_result: JsonObject | None
    task_error: JsonObject | None
    task_updated_at: datetime | None
    task_finished_at: datetime | None
    task_granted: int | None
    last_checkpoint: int | None
    started_at: datetime | None
    log_epoch: str
    log_position: int


@dataclass(frozen=True, slots=True)
class SessionMetrics:
    """What the tasks of a session took so far."""

    tasks: int
    runs: int
    failed_runs: int
    tool_calls: int
    tokens: int
    cost_usd: float
    run_ms: float


@dataclass(frozen=True, slots=True)
class Standing:
    """How the task of a session stands: in one of these statuses, begun or not, lost or not (None: either)."""

    statuses: frozenset[str]
    begun: bool | None = None
    lost: bool | None = None


LOST = ("run_lost", "lost")
"""Reasons of a task whose agent was lost."""


@dataclass(frozen=True, slots=True)
class SessionFilter:
    """Which sessions to list: of one owner, or of the whole tenant when `owner` is None."""

    tenant: str
    owner: str | None
    kind: Sequence[str] = field(default=())
    session_type: Sequence[str] = field(default=())
    priority: Sequence[str] = field(default=())
    standing: Sequence[Standing] = field(default=())
    tag: str | None = None
    title: str | None = None
    archived: bool = False


BEGUN = select(func.min(run.c.started_at)).where(run.c.task_id == session.c.task_id).scalar_subquery()
_ELSEWHERE = {
    **{f"task_{name}": task.c[name] for name in ("status", "reason", "detail", "priority", "spec", "attempt")},
    **{f"task_{name}": task.c[name] for name in ("result", "error", "updated_at", "finished_at")},
    "task_granted": cast(task.c.course["granted"].astext, Integer),
    "last_checkpoint": select(checkpoint_line.c.last_seq).where(checkpoint_line.c.id == session.c.id).scalar_subquery(),
    "started_at": BEGUN,
    "log_epoch": keeper.c.epoch,
    "log_position": keeper.c.position,
}
_SHOWN = [
    _ELSEWHERE[shown.name].label(shown.name) if shown.name in _ELSEWHERE else session.c[shown.name]
    for shown in fields(SessionRow)
]
_LATEST = func.greatest(session.c.updated_at, task.c.updated_at)
"""The last activity of a session: its own, or that of the task that its status comes from."""
WITH_TASK = session.outerjoin(task, task.c.id == session.c.task_id)
_SESSIONS: Select[Anything] = select(*_SHOWN).select_from(WITH_TASK.join(keeper, true()))


async def find_session(engine: AsyncEngine, session_id: str) -> SessionRow | None:
    """The session, whoever owns it (the caller must look), or None."""
    rows = await fetch(engine, _SESSIONS.where(session.c.id == session_id))
    return _row(rows[0]) if rows else None


async def page_of_sessions(
    engine: AsyncEngine, wanted: SessionFilter, *, skip: int, limit: int
) -> tuple[list[SessionRow], int]:
    """At most `limit` sessions, the newest activity first, after the first `skip`; and how many there are in all."""
    conditions = _conditions(wanted)
    page = _SESSIONS.where(*conditions).order_by(_LATEST.desc(), session.c.id.desc()).offset(skip).limit(limit)
    count = select(func.count()).select_from(WITH_TASK).where(*conditions)
    async with one_moment(engine) as connection:
        rows = (await connection.execute(page)).all()
        return [_row(row) for row in rows], (await connection.execute(count)).scalar_one()


async def conversations(
    engine: AsyncEngine, tenant: str, owner: str, *, skip: int, limit: int
) -> Sequence[Row[tuple[str, str | None, datetime, datetime]]]:
    """Id, title and times of somebody's conversations in which something was said, newest activity first."""
    statement = (
        select(session.c.id, session.c.title, session.c.created_at, session.c.updated_at)
        .where(
            session.c.tenant == tenant,
            session.c.owner == owner,
            session.c.kind == "chat",
            session.c.status == "open",
            session.c.last_seq > 0,
        )
        .order_by(session.c.updated_at.desc(), session.c.id.desc())
        .offset(skip)
        .limit(limit)
    )
    return await fetch(engine, statement)


async def metrics_of(engine: AsyncEngine, row: SessionRow) -> SessionMetrics:
    """Counts and sums over all tasks of the session; one of somebody else's that only named it is none of them."""
    inside = (task.c.session_id == row.id, task.c.tenant == row.tenant, task.c.owner == row.owner)
    own = select(task.c.id).where(*inside)
    tasks = select(func.count()).select_from(task).where(*inside).scalar_subquery()
    calls = select(func.count()).select_from(tool_call).where(tool_call.c.task_id.in_(own)).scalar_subquery()
    statement: Select[Anything] = select(
        tasks,
        func.count(),
        func.count().filter(run.c.status.in_(("failed", "timed_out", "lost"))),
        calls,
        cast(func.coalesce(func.sum(run.c.tokens), 0), BigInteger),
        func.coalesce(func.sum(run.c.cost_usd), 0.0),
        func.coalesce(func.sum(run.c.ms), 0.0),
    ).where(run.c.task_id.in_(own))
    return SessionMetrics(*(await fetch(engine, statement))[0])  # type: ignore[arg-type,call-arg]  # as listed


def _conditions(wanted: SessionFilter) -> list[ColumnElement[bool]]:
    found = [session.c.tenant == wanted.tenant, session.c.status == ("archived" if wanted.archived else "open")]
    if wanted.owner is not None:
        found.append(session.c.owner == wanted.owner)
    for column, values in (
        (session.c.kind, wanted.kind),
        (session.c.session_type, wanted.session_type),
        (task.c.priority, wanted.priority),
    ):
        if values:
            found.append(column.in_(list(values)))
    if wanted.standing:
        found.append(or_(*map(_stands, wanted.standing)))
    if wanted.tag is not None:
        found.append(session.c.tags.contains([wanted.tag]))
    if wanted.title is not None:
        found.append(func.strpos(func.lower(session.c.title), wanted.title.lower()) > 0)
    return found


def _stands(standing: Standing) -> ColumnElement[bool]:
    in_status: ColumnElement[bool] = task.c.status.in_(sorted(standing.statuses))
    if standing.statuses >= {"submitted"}:  # a session whose first task is not there yet
        in_status = or_(in_status, task.c.id.is_(None))
    conditions: list[ColumnElement[bool]] = [in_status]
    if standing.begun is not None:
        conditions.append(BEGUN.is_not(None) if standing.begun else BEGUN.is_(None))
    if standing.lost is not None:
        lost = func.coalesce(task.c.reason.in_(LOST), false())
        conditions.append(lost if standing.lost else ~lost)
    return and_(*conditions)


def _row(row: Row[Anything]) -> SessionRow:
    return SessionRow(*row)  # type: ignore[arg-type,call-arg]  # the columns are listed in the order of the fields
