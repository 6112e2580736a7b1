"""The answers' shapes, for the OpenAPI document and for tests; answers themselves are built in views.py."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, JsonValue

from events.base import JsonObject
from events.estimate import Level
from events.task import Budget, DependencyType, Kind, Priority, Status

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
    """A task that must begin or end first, and before what of this one."""

    task_id: UUID
    required: bool = True
    type: DependencyType = "finish_to_start"


class Estimate(BaseModel):
    """Hours: three points, what is expected of them, how complex that makes the work, and how sure that is."""

    optimistic: float
    likely: float
    pessimistic: float
    expected_hours: float
    level: Level
    confidence: float


class Task(BaseModel):
    """GET /api/v1/tasks/{task_id}; `cursor` is the place in the log to subscribe after.

    `children`: how many steps it was divided into, if it was.
    """

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
    estimate: Estimate | None
    children: int | None
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


class PlannedStep(BaseModel):
    """One step: a task below the one that was divided, or below another step. Time in hours, cost in US dollars."""

    task_id: UUID
    parent_id: UUID
    step: str
    description: str
    arm: str
    required_capabilities: list[str]
    priority: Priority | None
    estimate: Estimate
    estimated_time: float
    estimated_cost: float
    budget: Budget


class PlannedEdge(BaseModel):
    """`after` waits for `before`."""

    before: UUID
    after: UUID
    type: DependencyType
    required: bool


class Plan(BaseModel):
    """What a task was divided into; `critical_path`: the chain of its steps that takes longest."""

    task_id: UUID
    plan_id: UUID
    estimate: Estimate
    children: list[PlannedStep]
    edges: list[PlannedEdge]
    templates: list[str]
    rules: list[str]
    strategies: list[str]
    total_hours: float
    critical_path: list[UUID]
    critical_hours: float


class TaskNode(BaseModel):
    """A task as a tree or a graph shows it: what it is and where it stands; the whole of it has its own path."""

    task_id: UUID
    parent_id: UUID | None
    kind: Kind
    priority: Priority
    title: str
    status: Status
    reason: str | None
    waiting_for: str | None
    agent_id: str | None
    attempt: int
    estimate: Estimate | None
    depends_on: list[Dependency]
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None


class TaskTree(TaskNode):
    """A task with all that descends from it, the oldest first."""

    subtasks: list["TaskTree"]


class TaskWithSubtasks(Task):
    """GET /api/v1/tasks/{task_id}?include_subtasks=true."""

    subtasks: list[TaskTree]


class DependencyEdge(BaseModel):
    """`task_id` depends on `depends_on`; `met`: it holds nothing back (any more)."""

    task_id: UUID
    depends_on: UUID
    type: DependencyType
    required: bool
    met: bool


class DependencyGraph(BaseModel):
    """What a task depends on, directly or not, and what depends on it so; of each at most 512 tasks, else `truncated`.

    `can_start`, `can_finish`: nothing that it depends on keeps it from beginning, or from ending. `blocked_by`,
    `held_by`: what does. `critical_path`: the tasks that take longest one after the other, if their time is known.
    """

    task_id: UUID
    can_start: bool
    can_finish: bool
    blocked_by: list[UUID]
    held_by: list[UUID]
    nodes: list[TaskNode]
    edges: list[DependencyEdge]
    critical_path: list[UUID] | None
    critical_path_hours: float | None
    truncated: bool


class TaskStats(BaseModel):
    """How many tasks there are by status and by kind; of more than 10,000 the newest (`truncated`)."""

    total: int
    open: int
    by_status: dict[Status, int]
    by_kind: dict[Kind, int]
    truncated: bool


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
