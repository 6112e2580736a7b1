"""Answers about sessions, for the OpenAPI document and for tests."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from events.base import JsonObject
from gateway.tasks.models import Links, Task, TaskError

SessionStatus = Literal[
    "pending",
    "queued",
    "running",
    "paused",
    "completed",
    "partially_completed",
    "failed",
    "timeout",
    "stopped",
    "cancelled",
    "orphaned",
    "degraded",
]


class SessionMetrics(BaseModel):
    """What the session's tasks took so far."""

    tasks: int
    runs: int
    failed_runs: int
    tool_calls: int
    tokens: int
    cost_usd: float
    run_ms: float


class SessionMessage(BaseModel):
    """One message of the session."""

    id: UUID
    seq: int
    role: str
    content: str
    created_at: datetime
    task_id: UUID
    turn_status: str


class Session(BaseModel):
    """A session; its status is its task's. `health_score` runs from 0 to 1, below 0.5 it is `degraded`."""

    id: str
    kind: Literal["work", "chat", "workflow"]
    title: str | None
    status: SessionStatus
    session_type: str | None
    priority: str | None
    health_score: float = Field(ge=0, le=1)
    degraded: bool
    initial_prompt: str | None
    agent_config: JsonObject | None
    max_duration_seconds: int | None
    parent_session_id: str | None
    created_by: str
    tags: list[str]
    metadata: JsonObject
    task_id: UUID | None
    waiting_for: str | None
    result: JsonObject | None
    error: TaskError | None
    message_count: int
    archived: bool
    version: int
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    cursor: str
    tasks: list[Task] | None = None
    messages: list[SessionMessage] | None = None
    metrics: SessionMetrics | None = None


class SessionPage(BaseModel):
    """A page of sessions, newest activity first."""

    items: list[Session]
    total: int
    page: int
    page_size: int


class SessionAccepted(BaseModel):
    """202: the session is kept in the log; the database will follow."""

    id: str
    task_id: UUID
    status: Literal["pending"]
    durability: Literal["log"]
    message: str
    links: Links


class SessionKept(BaseModel):
    """202: the command is in the log; the database will follow."""

    id: str
    message: str


class BulkOutcome(BaseModel):
    """What became of one session of many; with status 202 only the log has the command so far."""

    session_id: str
    ok: bool
    status: int
    code: str | None = None
    detail: str | None = None
    session: Session | None = None


class BulkAnswer(BaseModel):
    """What became of each, in the order they were named."""

    results: list[BulkOutcome]
    succeeded: int
    failed: int
