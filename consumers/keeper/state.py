"""A task as the keeper folds it: immutable, one field a column of `storage.models.task`."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from events.base import JsonObject
from events.task import Kind, Priority, Routing, Status, TaskError, TaskSpec


class Birth(NamedTuple):
    """What is written once, when the task is born, and never read by the fold again."""

    spec: TaskSpec
    idempotency_key: str | None
    body_sha256: str | None
    correlation_id: str
    traceparent: str | None
    hopcount: int
    created_at: datetime


class TaskState(NamedTuple):
    """One task between two events. `birth` is set only while the row is not in the database yet."""

    id: UUID
    tenant: str
    owner: str
    session_id: str | None
    kind: Kind
    required_capabilities: tuple[str, ...]
    deadline_at: datetime
    status: Status
    version: int
    attempt: int
    driving_id: str
    updated_at: datetime
    reason: str | None = None
    detail: str | None = None
    agent_id: str | None = None
    run_id: UUID | None = None
    execution_id: UUID | None = None
    heartbeat_at: datetime | None = None
    due_at: datetime | None = None
    redacted: dict[str, str] | None = None
    result: JsonObject | None = None
    error: TaskError | None = None
    finished_at: datetime | None = None
    priority: Priority = "normal"
    routing: Routing | None = None
    birth: Birth | None = None
