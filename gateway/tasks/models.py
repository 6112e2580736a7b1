"""The answers' shapes, for the OpenAPI document and for tests; answers themselves are built in views.py."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, JsonValue

from events.base import JsonObject
from events.task import Kind, Priority, Status

Facade = Literal["pending", "processing", "completed", "failed", "cancelled"]


class Links(BaseModel):
    """Where to go from here; `room` is for the WebSocket."""

    self: str
    events: str
    stream: str
    room: str


class Accepted(BaseModel):
    """202: the task is kept, and how well (`log+database` survives the loss of the log's disk)."""

    task_id: UUID
    status: Literal["submitted"]
    durability: Literal["log", "log+database"]
    message: str
    links: Links


class SubmitAccepted(BaseModel):
    """202 of /submit."""

    task_id: UUID
    status: Facade
    durability: Literal["log", "log+database"]
    message: str
    links: Links


class CancelAccepted(BaseModel):
    """202 of a cancel: the command is kept, its outcome is not known yet."""

    task_id: UUID
    status: Status
    durability: Literal["log", "log+database"]
    message: str
    links: Links


class FacadeTask(BaseModel):
    """GET /tasks/{task_id}."""

    task_id: UUID
    status: Facade
    goal: str
    result: JsonObject | None
    error: str | None
    created_at: datetime
    updated_at: datetime
    processing_time_ms: int | None


class Finding(BaseModel):
    """One thing the reflex layer saw and where, never the matched text."""

    family: str
    type: str
    severity: Literal["critical", "high", "medium", "low"]
    field: str
    start: int
    end: int
    confidence: float


class Verdict(BaseModel):
    """What the reflex layer decided."""

    decision: Literal["allow", "redact", "block"]
    findings: list[Finding]
    reason: str | None


class TaskError(BaseModel):
    """Why a task failed."""

    code: str
    message: str
    retryable: bool = False


class Dependency(BaseModel):
    """A task that must end before this one begins."""

    task_id: UUID
    required: bool = True


class Task(BaseModel):
    """GET /api/v1/tasks/{task_id}; `cursor` is the place in the log to subscribe after."""

    task_id: UUID
    kind: Kind
    priority: Priority
    prompt: str
    session_id: str | None
    status: Status
    reason: str | None
    detail: str | None
    waiting_for: str | None
    parent_id: UUID | None
    depends_on: list[Dependency]
    effects_done: bool | None
    agent_id: str | None
    run_id: UUID | None
    attempt: int
    result: JsonObject | None
    error: TaskError | None
    verdict: Verdict | None
    created_at: datetime
    deadline_at: datetime | None
    updated_at: datetime
    finished_at: datetime | None
    processing_time_ms: int | None
    version: int
    cursor: str | None


class TaskPage(BaseModel):
    """A page of tasks, newest first."""

    items: list[Task]
    next_cursor: str | None


class HistoryItem(BaseModel):
    """One event of a task, as a subscriber would have seen it."""

    cursor: str
    event: str
    time: datetime
    subject: str | None
    data: JsonValue


class History(BaseModel):
    """A page of a task's events, oldest first."""

    items: list[HistoryItem]
    next_cursor: str | None
