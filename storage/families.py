"""Questions about tasks that hang together: who descends from one, who waits for whom, and how many there are.

A task's row names its children and those that wait for it, as the keeper adopted them: what somebody else says of
itself leads nowhere. Every question is one statement, and bounded.
"""

from dataclasses import dataclass, fields
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    CTE,
    ColumnElement,
    CompoundSelect,
    FromClause,
    Row,
    Select,
    Uuid,
    and_,
    cast,
    column,
    false,
    func,
    or_,
    select,
    true,
    union,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncEngine

from events.base import JsonObject
from storage.models import task
from storage.reading import fetch
from storage.tasks import DEPENDS_ON, Anything

MOST_DESCENDANTS = 256
"""As many as the keeper lets come from one task."""
MOST_NODES = 512
"""Tasks of a graph, in each direction."""
MOST_COUNTED = 10_000
_TITLE = 200


@dataclass(frozen=True, slots=True)
class TaskNode:
    """A task without what may be large. `begun`: those that it saw begin; `ms`: what its runs have taken."""

    id: UUID
    parent_id: UUID | None
    kind: str
    priority: str
    title: str
    status: str
    reason: str | None
    detail: str | None
    agent_id: str | None
    attempt: int
    depends_on: list[JsonObject] | None
    begun: list[str] | None
    ms: float | None
    estimate: JsonObject | None
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    divided: bool | None = None


@dataclass(frozen=True, slots=True)
class Relatives:
    """The tasks of a graph, in the order of their making; `truncated`: there are more."""

    nodes: list[TaskNode]
    truncated: bool


_ELSEWHERE = {
    "title": func.left(task.c.spec["prompt"].astext, _TITLE),
    "depends_on": DEPENDS_ON,
    "begun": task.c.course["begun"],
    "ms": task.c.course["ms"],
    "estimate": task.c.spec["estimate"],
    "divided": task.c.course["divided"],
}
_SHOWN = [shown.name for shown in fields(TaskNode)]
_NODE = [_ELSEWHERE[name].label(name) if name in _ELSEWHERE else task.c[name] for name in _SHOWN]


async def descendants(engine: AsyncEngine, tenant: str, owner: str, root: UUID) -> list[TaskNode]:
    """The task and all that descend from it, in the order of their making."""
    family = _Walk(tenant, owner, root).along("children")
    rows = await fetch(engine, _nodes(select(family.c.id).limit(MOST_DESCENDANTS + 1)))
    return [_node(row) for row in rows]


async def relatives(engine: AsyncEngine, tenant: str, owner: str, one: UUID) -> Relatives:
    """The task, what it depends on and what depends on it, over any number of tasks; the nearest if they are many."""
    walk = _Walk(tenant, owner, one)
    above, below = walk.along_dependencies(), walk.along("dependants")
    near = union(*(select(ids.c.id).limit(MOST_NODES + 1).subquery().select() for ids in (above, below)))
    more = [select(ids.c.id).offset(MOST_NODES + 1).limit(1).exists() for ids in (above, below)]
    rows = await fetch(engine, _nodes(near, truncated=or_(*more)))
    return Relatives([_node(row) for row in rows], truncated=any(row[-1] for row in rows))


async def counts(engine: AsyncEngine, tenant: str, owner: str | None) -> list[tuple[str, str, int]]:
    """Status, kind and number of the newest 10,001 tasks of an owner, or of the tenant."""
    whose = [task.c.tenant == tenant, *([] if owner is None else [task.c.owner == owner])]
    newest = (
        select(task.c.status, task.c.kind)
        .where(*whose)
        .order_by(task.c.created_at.desc(), task.c.id.desc())
        .limit(MOST_COUNTED + 1)
        .subquery()
    )
    grouped = select(newest.c.status, newest.c.kind, func.count()).group_by(newest.c.status, newest.c.kind)
    return [(status, kind, number) for status, kind, number in await fetch(engine, grouped)]


Either = CompoundSelect[Anything]
"""The ids of several questions."""


class _Walk:
    """From one task to those that are reached over the lists in the rows, each once, the nearest first."""

    def __init__(self, tenant: str, owner: str, start: UUID) -> None:
        self._whose = (tenant, owner)
        self._start = start

    def along(self, name: str) -> CTE:
        """Over the ids in a list of the task's course."""
        here = task.alias(f"{name}_here")
        each = func.jsonb_array_elements_text(here.c.course[name]).table_valued("value", name=f"{name}_each")
        return self._reached(name, here, each, each.c.value)

    def along_dependencies(self) -> CTE:
        """Over what the task depends on."""
        here = task.alias("here")
        links = func.coalesce(here.c.course["linked"], here.c.spec["depends_on"])
        each = func.jsonb_array_elements(links).table_valued(column("value", JSONB), name="each_link")
        return self._reached("dependencies", here, each, each.c.value["task_id"].astext)

    def _reached(self, name: str, here: FromClause, each: FromClause, named: ColumnElement[str]) -> CTE:
        start = select(task.c.id).where(task.c.id == self._start, self._own(task))
        reached = start.cte(name, recursive=True)
        there = task.alias(f"{name}_there")
        step = select(there.c.id).select_from(reached).join(here, here.c.id == reached.c.id).join(each, true())
        return reached.union(step.join(there, and_(there.c.id == cast(named, Uuid), self._own(there))))

    def _own(self, tasks: FromClause) -> ColumnElement[bool]:
        tenant, owner = self._whose
        return and_(tasks.c.tenant == tenant, tasks.c.owner == owner)


def _nodes(named: Select[Anything] | Either, truncated: ColumnElement[bool] | None = None) -> Select[Anything]:
    more = false() if truncated is None else truncated
    return select(*_NODE, more).where(task.c.id.in_(named)).order_by(task.c.created_at, task.c.id)


def _node(row: Row[Anything]) -> TaskNode:
    shown = dict(zip(_SHOWN, row, strict=False))  # the last one is `truncated`
    return TaskNode(**shown)  # type: ignore[arg-type]  # the columns are those of the fields
