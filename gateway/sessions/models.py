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


class Checkpoint(BaseModel):
    """How far a task of the session had come; `id` is its number in the session. Without `run_id` its owner made it."""

    id: int
    sequence: int
    task_id: UUID
    run_id: UUID | None
    attempt: int
    agent_id: str | None
    note: str | None
    size: int
    created_at: datetime


class CheckpointWithData(Checkpoint):
    """A checkpoint with what was written into it, as policy lets it be kept."""

    data: JsonObject


class CheckpointPage(BaseModel):
    """Checkpoints, newest first; `next_cursor` asks for those before them."""

    items: list[Checkpoint]
    next_cursor: int | None


class SessionNode(BaseModel):
    """A session with those that name it as their parent, the oldest first."""

    id: str
    title: str | None
    kind: Literal["work", "chat", "workflow"]
    status: SessionStatus
    archived: bool
    depth: int
    created_at: datetime
    children: list["SessionNode"]


class SessionTree(SessionNode):
    """The session that was asked for; `truncated`: there are more below it than are shown."""

    truncated: bool


class SessionStats(BaseModel):
    """How many sessions there are; of more than 10,000 the newest (`truncated`).

    The duration is from start to end, of those that have ended; a partial success counts half.
    """

    total_sessions: int
    active_sessions: int
    completed_sessions: int
    failed_sessions: int
    average_duration_seconds: float | None
    average_success_rate: float | None
    sessions_by_status: dict[SessionStatus, int]
    sessions_by_type: dict[str, int]
    sessions_by_priority: dict[str, int]
    truncated: bool


class Session(BaseModel):
    """A session; its status is its task's. `health_score` runs from 0 to 1, below 0.5 it is `degraded`.

    `last_checkpoint` is the number of its last one. `is_recoverable`: it may be restored from a checkpoint.
    """

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
    retry_count: int
    last_checkpoint: int | None
    is_recoverable: bool
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
    checkpoints: list[Checkpoint] | None = None
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
