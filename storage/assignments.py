"""What is assigned to a tenant's agents and has not begun, with what is known of the agents."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import and_, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from events.base import JsonObject
from storage.models import agent, task
from storage.reading import fetch

LOOKED_AT = 1_000


@dataclass(frozen=True, slots=True)
class Unbegun:
    """One assignment; `excess`: how many assignments its agent has beyond its capacity, this one's place among its own
    counted from the newest is `place` (from 1).
    """

    task_id: UUID
    tenant: str
    owner: str
    session_id: str | None
    attempt: int
    kind: str
    required_capabilities: Sequence[str]
    routing: JsonObject | None
    agent_id: str
    agent_status: str
    breaker: str
    excess: int
    place: int


async def unbegun(engine: AsyncEngine, tenant: str, agent_id: str | None = None) -> list[Unbegun]:
    """The newest 1,000 assignments of the tenant's own agents that have not begun. Raises StoreUnavailableError."""
    in_hand = task.alias("in_hand")
    held = (
        select(func.count())
        .where(
            in_hand.c.finished_at.is_(None),
            in_hand.c.status.in_(("assigned", "running")),
            in_hand.c.course["held"].is_(None),
            in_hand.c.tenant == tenant,
            in_hand.c.agent_id == agent.c.agent_id,
        )
        .scalar_subquery()
    )
    place = func.row_number().over(partition_by=task.c.agent_id, order_by=(task.c.updated_at.desc(), task.c.id))
    columns = (
        *(task.c.id, task.c.tenant, task.c.owner, task.c.session_id, task.c.attempt, task.c.kind),
        *(task.c.required_capabilities, task.c.routing, task.c.agent_id),
        *(agent.c.status, agent.c.breaker, held - agent.c.capacity, place),
    )
    theirs = and_(agent.c.agent_id == task.c.agent_id, agent.c.tenant == task.c.tenant, agent.c.outside)
    conditions = [task.c.tenant == tenant, task.c.finished_at.is_(None), task.c.status == "assigned"]
    if agent_id is not None:
        conditions.append(task.c.agent_id == agent_id)
    found = select(*columns).join(agent, theirs).where(*conditions).order_by(task.c.updated_at.desc(), task.c.id)
    return [Unbegun(*row) for row in await fetch(engine, found.limit(LOOKED_AT))]  # type: ignore[call-arg]  # in the order of the fields
