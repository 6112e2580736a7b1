"""Questions about agents: who is there, is this one's token good, how did it fare, what does it have in hand."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncEngine

from events.agent import EVERYONE
from events.base import JsonObject
from events.run import CALLER_LOST
from storage.models import agent, run, task
from storage.reading import fetch

Anything = tuple[object, ...]

_MARK = 16
"""Of 64 hexadecimal digits."""

RECENT = 1_000
"""Runs that an agent's figures are taken from."""


@dataclass(frozen=True, slots=True)
class AgentRow:
    """An agent as its tenant may see it. `hands_full` counts the tasks it has now."""

    tenant: str
    agent_id: str
    owner: str
    name: str
    agent_type: str
    capabilities: dict[str, float]
    technologies: Sequence[str]
    capacity: int
    outside: bool
    agent_version: str | None
    metadata: JsonObject
    status: str
    reason: str | None
    version: int
    registered_at: datetime
    heartbeat_at: datetime
    reported: JsonObject | None
    updated_at: datetime
    tier: str
    quality: float
    load_level: str
    breaker: str
    available: bool
    endpoint_url: str | None
    notes: Sequence[JsonObject] | None
    hands_full: int


@dataclass(frozen=True, slots=True)
class Assignment:
    """A task in an agent's hands (or that was last), for stamping what it says."""

    tenant: str
    owner: str
    session_id: str | None
    status: str
    attempt: int
    agent_id: str | None
    run_id: UUID | None
    execution_id: UUID | None
    correlation_id: str


@dataclass(frozen=True, slots=True)
class Figures:
    """How an agent's latest runs ended, up to 1,000 of them; sums of what they spent."""

    runs: int
    succeeded: int
    partial: int
    failed: int
    cancelled: int
    average_ms: float | None
    tokens: int
    cost_usd: float
    last_finished_at: datetime | None


async def find_agent(engine: AsyncEngine, tenant: str, agent_id: str) -> AgentRow | None:
    """The tenant's agent of this id, or one of ours. Raises StoreUnavailableError."""
    rows = await fetch(engine, _agents(tenant).where(agent.c.agent_id == agent_id))
    return _agent(rows[0]) if rows else None


async def list_agents(
    engine: AsyncEngine,
    tenant: str,
    *,
    capability: str | None = None,
    status: Sequence[str] = (),
    after: str | None = None,
    limit: int = 50,
) -> list[AgentRow]:
    """At most `limit` agents that work for the tenant, by id, from just after `after`; gone ones if asked for."""
    conditions: list[ColumnElement[bool]] = [
        agent.c.status.in_(list(status)) if status else agent.c.status != "gone",
    ]
    if capability is not None:
        conditions.append(agent.c.capabilities.has_key(capability))
    if after is not None:
        conditions.append(agent.c.agent_id > after)
    page = _agents(tenant).where(*conditions).order_by(agent.c.agent_id).limit(limit)
    return [_agent(row) for row in await fetch(engine, page)]


async def verify_agent(engine: AsyncEngine, tenant: str, agent_id: str, token: str) -> bool:
    """Whether there is such an outside agent and this is its token. Raises StoreUnavailableError."""
    named = (agent.c.id == f"{tenant}/{agent_id}", agent.c.outside, agent.c.status != "gone")
    rows = await fetch(engine, select(agent.c.token_hash).where(*named))
    kept = rows[0][0] if rows else None
    return hmac.compare_digest(kept or "", hash_of(token))


def hash_of(token: str) -> str:
    """What is kept of an agent's token: enough for a random one of 256 bits."""
    return hashlib.sha256(token.encode()).hexdigest()


def mark_of(token: str) -> str:
    """What tells an agent's token from its others: the beginning of its hash, which opens nothing."""
    return hash_of(token)[:_MARK]


async def owner_by_line(engine: AsyncEngine, tenant: str, agent_id: str, token_mark: str) -> tuple[str, bool] | None:
    """The agent's owner, and whether `token_mark` is that of its present token; None for one that is not there or gone.

    Raises StoreUnavailableError.
    """
    named = (agent.c.id == f"{tenant}/{agent_id}", agent.c.outside, agent.c.status != "gone")
    rows = await fetch(engine, select(agent.c.owner, _has_mark(token_mark)).where(*named))
    return (rows[0][0], bool(rows[0][1])) if rows else None


async def find_assignment(
    engine: AsyncEngine, tenant: str, agent_id: str, token_mark: str, task_id: UUID
) -> Assignment | None:
    """The task, if it is or was last in the hands of this agent, which is not gone and came with its present token.

    Raises StoreUnavailableError.
    """
    columns = [task.c[shown.name] for shown in fields(Assignment)]
    here = and_(agent.c.id == f"{tenant}/{agent_id}", agent.c.status != "gone", _has_mark(token_mark))
    named = and_(task.c.id == task_id, task.c.tenant == tenant, task.c.agent_id == agent_id)
    rows = await fetch(engine, select(*columns).where(named, select(agent.c.id).where(here).exists()))
    return Assignment(*rows[0]) if rows else None


def _has_mark(token_mark: str) -> ColumnElement[bool]:
    return func.left(agent.c.token_hash, _MARK) == token_mark


async def figures_of(engine: AsyncEngine, tenant: str, agent_id: str) -> Figures:
    """How its latest runs for this tenant ended. Raises StoreUnavailableError."""
    latest = (
        select(run.c.status, run.c.ms, run.c.tokens, run.c.cost_usd, run.c.finished_at)
        .join(task, task.c.id == run.c.task_id)
        .where(run.c.agent_id == agent_id, run.c.finished_at.is_not(None), task.c.tenant == tenant)
        .where(func.coalesce(run.c.error["code"].astext, "") != CALLER_LOST)  # none of its doing
        .order_by(run.c.finished_at.desc())
        .limit(RECENT)
        .subquery()
    )

    def ended(*statuses: str) -> ColumnElement[int]:
        return func.count().filter(latest.c.status.in_(statuses))

    figures = select(
        func.count(),
        ended("succeeded"),
        ended("partial"),
        ended("failed", "timed_out", "lost"),
        ended("cancelled"),
        func.avg(latest.c.ms),
        func.coalesce(func.sum(latest.c.tokens), 0),
        func.coalesce(func.sum(latest.c.cost_usd), 0.0),
        func.max(latest.c.finished_at),
    )
    row = (await fetch(engine, figures))[0]
    runs, succeeded, partial, failed, cancelled, ms, tokens, cost, last = row
    return Figures(runs, succeeded, partial, failed, cancelled, ms, int(tokens), float(cost), last)


def _agents(tenant: str) -> Select[Anything]:
    """All agents that work for the tenant, each with how many of its tasks are in their hands."""
    full = (
        select(func.count())
        .where(
            task.c.finished_at.is_(None),
            task.c.status.in_(("assigned", "running")),
            task.c.course["held"].is_(None),
            task.c.agent_id == agent.c.agent_id,
            or_(task.c.tenant == agent.c.tenant, agent.c.tenant == EVERYONE),
        )
        .scalar_subquery()
    )
    columns = [agent.c[shown.name] for shown in fields(AgentRow) if shown.name != "hands_full"]
    serving = agent.c.tenant.in_([literal(tenant), literal(EVERYONE)])
    return select(*columns, full).where(serving)


def _agent(row: Row[Anything]) -> AgentRow:
    return AgentRow(*row)  # type: ignore[arg-type,call-arg]  # the columns are listed in the order of the fields
