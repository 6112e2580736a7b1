"""A task as the keeper folds it: immutable, one field a column of `storage.models.task`."""

from datetime import datetime
from typing import Literal, NamedTuple
from uuid import UUID

from events.base import JsonObject
from events.task import Budget, Dependency, Kind, Priority, Routing, Status, TaskError, TaskSpec


class Birth(NamedTuple):
    """What is written once, when the task is born, and never read by the fold again."""

    spec: TaskSpec
    idempotency_key: str | None
    body_sha256: str | None
    correlation_id: str
    traceparent: str | None


class SpecState(NamedTuple):
    """What was asked for: read again by the rare rule that needs it."""

    id: UUID
    spec: TaskSpec


class Course(NamedTuple):
    """What steers a task beside its status; most tasks never have any of it.

    `hold`: it may not start before it is told to. `children`, `dependants`: the tasks it made, and those that wait for
    it; `starters`: of these, who ask whether it has begun. `family`: how many tasks descend from this root. `granted`:
    attempts beyond the three, by resuming or replaying. `tokens`, `cost_usd`, `ms`: spent by attempts that have ended.
    `left`: its last run was ended by somebody else's word, and what became of it is still to be heard. `held`: its run
    has ended so, and it may not end before others have begun or ended. `begun`: those that were seen to begin, where it
    asks no more. `linked`: what it depends on, once that was changed. `asked`: the plan that is to
    come, and `divided`: it has come, or the task is a step that has steps itself. `ran`: an agent had started in an
    attempt before this one. `counted`: it is one of the sessions that its tenant has at work.
    """

    hold: bool = False
    children: tuple[UUID, ...] = ()
    dependants: tuple[UUID, ...] = ()
    starters: tuple[UUID, ...] = ()
    family: int = 0
    granted: int = 0
    tokens: int = 0
    cost_usd: float = 0.0
    ms: float = 0.0
    left: bool = False
    asked: JsonObject | None = None
    divided: bool = False
    ran: bool = False
    counted: bool = False
    held: Literal["succeeded", "partial"] | None = None
    begun: tuple[UUID, ...] = ()
    linked: tuple[Dependency, ...] | None = None


class TaskState(NamedTuple):
    """One task between two events. `birth` is set only while the row is not in the database yet.

    `steered`: the deadline, `course` or `effects_done` may differ from the row's. `planned`: what was asked for, as a
    plan has changed it, while the row does not say so yet.
    """

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
    created_at: datetime
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
    parent_id: UUID | None = None
    root_id: UUID | None = None
    hopcount: int = 0
    budget: Budget = Budget()
    depends_on: tuple[Dependency, ...] = ()
    course: Course = Course()
    effects_done: bool | None = None
    steered: bool = False
    birth: Birth | None = None
    planned: TaskSpec | None = None
