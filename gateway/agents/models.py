"""The shapes of the answers about agents, for the OpenAPI document."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel

from events.agent import AgentStatus, Breaker, LoadLevel, Tier
from events.base import JsonObject
from events.route import Candidate


class Agent(BaseModel):
    """An agent. `current_tasks` counts the tasks it has; `reported` is what it says of itself.

    `endpoint_url`: where it is called with its work; one without pulls.
    """

    id: str
    name: str
    agent_type: str
    capabilities: dict[str, float]
    technologies: list[str]
    max_concurrent_capacity: int
    current_tasks: int
    status: AgentStatus
    reason: str | None
    is_available: bool
    performance_tier: Tier
    quality: float
    load_level: LoadLevel
    breaker: Breaker
    built_in: bool
    owner: str | None
    endpoint_url: str | None
    version: str | None
    metadata: JsonObject
    reported: JsonObject | None
    registered_at: datetime
    last_heartbeat_at: datetime
    updated_at: datetime


class Connection(BaseModel):
    """How the agent comes to its work: NATS, as this user, with `auth_token` as password (docs/agents.md)."""

    url: str
    user: str
    inbox_prefix: str
    queue: str
    stop_subject: str


class RegisteredAgent(BaseModel):
    """201: the agent with its token, which is shown once and not kept (null in the answer to a repeat).

    `signing_secret`: of an agent that is called, what the calls are signed with; it is shown once, too.
    """

    agent_id: str
    status: AgentStatus
    auth_token: str | None
    signing_secret: str | None
    heartbeat_interval_seconds: int
    connection: Connection
    agent: Agent


class AgentPage(BaseModel):
    """A page of agents, by id."""

    items: list[Agent]
    next_cursor: str | None


class Note(BaseModel):
    """What somebody said of an agent."""

    by: str
    at: datetime
    quality: float | None
    note: str | None
    task_id: UUID | None


class AgentPerformance(BaseModel):
    """How an agent's latest runs for you ended (1,000 at most), and what the router makes of its last 50.

    `notes`: what was said of it, the newest of 20 first; they count for nothing.
    """

    agent_id: str
    performance_tier: Tier
    quality: float
    breaker: Breaker
    load_level: LoadLevel
    total_tasks: int
    successful_tasks: int
    partial_tasks: int
    failed_tasks: int
    cancelled_tasks: int
    success_rate: float | None
    average_duration_ms: float | None
    tokens: int
    cost_usd: float
    trend: Literal["insufficient_data", "improving", "stable", "declining"]
    last_finished_at: datetime | None
    notes: list[Note]


class AgentStatistics(BaseModel):
    """The agents that work for you, in numbers."""

    total: int
    available: int
    by_status: dict[str, int]
    by_tier: dict[str, int]
    by_load_level: dict[str, int]
    capacity: int
    current_tasks: int


class SelectedAgent(BaseModel):
    """An agent with its score, and the parts of the score."""

    agent_id: str
    score: float
    parts: dict[str, float]


class RouteAnswer(BaseModel):
    """Who would take the task now, the next best, and everyone that was looked at."""

    selected_agent: str
    routing_score: float
    alternatives: list[SelectedAgent]
    routing_reason: str
    candidates: list[Candidate]


class Moved(BaseModel):
    """An assignment that has not begun: whose it is or was, why it should go elsewhere, and who would take it now.

    `kept_because`: why it stays all the same (`nobody_else` has room, or it has `begun`).
    """

    task_id: UUID
    agent_id: str
    why: Literal["offline", "draining", "gone", "breaker_open", "overloaded"]
    candidate: str | None
    kept_because: Literal["nobody_else", "begun", "unknown"] | None


class Rebalanced(BaseModel):
    """What was given back to the router (with `dry_run`: what would be), and what was not.

    `looked_at` counts what is assigned to your tenant's agents and has not begun; `more`: there is more to give back.
    """

    dry_run: bool
    looked_at: int
    moved: list[Moved]
    kept: list[Moved]
    more: bool


class Kept(BaseModel):
    """202: the command is in the log; the database will follow."""

    id: str
    message: str
