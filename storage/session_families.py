"""Questions about many sessions at once: who descends from one, and how many there are of each kind; both bounded."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Float, Select, and_, cast, extract, func, literal, select
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.models import session, task
from storage.reading import fetch
from storage.sessions import BEGUN, WITH_TASK
from storage.tasks import Anything

MOST_DESCENDANTS = 500
"""Sessions of a tree."""
MOST_COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class SessionNode:
    """A session in a tree; what begins with `task_` is of the task that its status comes from."""

    id: str
    parent_id: str | None
    title: str | None
    kind: str
    archived: bool
    begun: bool
    task_status: str | None
    task_reason: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class SessionGroup:
    """Sessions that are alike: how many, and what all of them took from their start to their end, in seconds."""

    task_status: str | None
    task_reason: str | None
    begun: bool
    session_type: str | None
    priority: str | None
    number: int
    timed: int
    seconds: float


_NODE = [
    *(session.c[name] for name in ("id", "parent_id", "title", "kind")),
    session.c.status == "archived",
    BEGUN.is_not(None),
    *(task.c.status, task.c.reason, session.c.created_at),
]
"""In the order of the fields of SessionNode."""


async def family_of(engine: AsyncEngine, tenant: str, owner: str, root: str) -> list[SessionNode]:
    """The session and the oldest that descend from it, one more than are shown; only those that are its owner's."""
    whose = and_(session.c.tenant == tenant, session.c.owner == owner)
    reached = select(session.c.id).where(session.c.id == root, whose).cte("reached", recursive=True)
    below = select(session.c.id).join(reached, session.c.parent_id == reached.c.id).where(whose)
    found = reached.union(below)
    nodes: Select[Anything] = select(*_NODE).select_from(WITH_TASK).where(session.c.id.in_(select(found.c.id)))
    oldest = nodes.order_by((session.c.id != root), session.c.created_at, session.c.id).limit(MOST_DESCENDANTS + 1)
    return [SessionNode(*row) for row in await fetch(engine, oldest)]  # type: ignore[arg-type,call-arg]  # as listed


async def groups_of(engine: AsyncEngine, tenant: str, owner: str | None) -> list[SessionGroup]:
    """The newest 10,001 sessions of an owner, or of the tenant, by what they have in common; deleted ones are none."""
    whose = [session.c.tenant == tenant, session.c.status == "open"]
    whose += [] if owner is None else [session.c.owner == owner]
    newest = (
        select(
            task.c.status.label("task_status"),
            task.c.reason.label("task_reason"),
            BEGUN.label("begun_at"),
            session.c.session_type,
            task.c.priority,
            task.c.finished_at,
        )
        .select_from(WITH_TASK)
        .where(*whose)
        .order_by(session.c.updated_at.desc(), session.c.id.desc())
        .limit(MOST_COUNTED + 1)
        .subquery()
    )
    took = cast(extract("epoch", newest.c.finished_at - newest.c.begun_at), Float)
    alike = [newest.c.task_status, newest.c.task_reason, newest.c.begun_at.is_not(None)]
    alike += [newest.c.session_type, newest.c.priority]
    sums = [func.count(), func.count(took), func.coalesce(func.sum(took), literal(0.0))]
    return [SessionGroup(*row) for row in await fetch(engine, select(*alike, *sums).group_by(*alike))]
