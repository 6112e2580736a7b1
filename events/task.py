"""Task events: the requests, the verdict, and the twelve states the keeper announces."""

from datetime import datetime
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from events.agent import ENGINE_AGENT, Tier, is_outside
from events.base import EventData, JsonObject
from events.estimate import Estimate
from events.ids import Name
from events.session import SessionSpec

Kind = Literal["goal", "subtask", "turn", "refinement"]
Priority = Literal["critical", "high", "normal", "low", "background"]
Status = Literal[
    "submitted",
    "blocked",
    "waiting",
    "ready",
    "assigned",
    "running",
    "paused",
    "succeeded",
    "partial",
    "failed",
    "timed_out",
    "cancelled",
    "skipped",
]
ControlAction = Literal[
    "start",
    "cancel",
    "pause",
    "resume",
    "retry",
    "replay",
    "complete",
    "fail",
    "time_out",
    "checkpoint",
    "restore",
    "add_dependency",
    "remove_dependency",
    "reassign",
    "follow_up",
]
"""`reassign` takes what has not begun from its agent. `follow_up` is the keeper's own: the task has ended, and others
have yet to learn of it. `restore` is a resume or a retry, whichever can be, from a checkpoint.
"""
DependencyType = Literal["finish_to_start", "start_to_start", "finish_to_finish", "start_to_finish"]
"""What of the other task must come first, and before what of this one."""

FINAL: frozenset[Status] = frozenset({"succeeded", "partial", "blocked", "cancelled", "skipped", "failed", "timed_out"})
"""Statuses that end a task; failed and timed_out can be left by an explicit retry only (DESIGN 5)."""
GOOD: frozenset[Status] = frozenset({"succeeded", "partial"})
"""The ends that leave something to work with: an answer, files, a result for dependants."""
COMPLETED = "completed_by_owner"
"""Why a task has succeeded that its owner, and no agent, says is done."""
DEPENDENCIES = "dependencies"
"""Why a task waits for others to begin or to end, or has not ended yet although its run has."""
DEPENDENCIES_MET = "dependencies_met"
"""Why a task is ready, or has ended, that waited for others."""
QUOTA_EXCEEDED = "quota_exceeded"
"""Why a task was not taken up that is more than its tenant may use."""
TURN_SECONDS = 30
"""A turn of a conversation may take so long from the start of its run (requirements 003, FR-033)."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Budget(_Part):
    """What one task may spend: tokens, wall seconds, US dollars."""

    max_tokens: int = Field(default=10_000, ge=1, le=100_000)
    max_time_seconds: int = Field(default=300, ge=1, le=3_600)
    max_cost_usd: float = Field(default=1.0, ge=0, le=100)


class TaskContext(_Part):
    """What the agent may know besides the prompt: free text, references, data."""

    text: str | None = None
    refs: tuple[str, ...] = ()
    data: JsonObject | None = None


class Dependency(_Part):
    """Another task of the same owner that must begin or end well first; one that is not required may end in any way."""

    task_id: UUID
    required: bool = True
    type: DependencyType = "finish_to_start"


class Routing(_Part):
    """What its owner asks of the agent, beyond capabilities: preferences weigh, `avoid` and `min_tier` exclude."""

    preferred_agent_ids: tuple[Name, ...] = ()
    preferred_agent_type: Name | None = None
    technologies: tuple[Name, ...] = ()
    avoid_technologies: tuple[Name, ...] = ()
    min_tier: Tier | None = None


class TaskSpec(_Part):
    """What is asked for, in the words of its owner.

    Of a plan: `steps` are the tasks that it was divided into, `builds_on` those whose results its agent is given.
    """

    kind: Kind = "goal"
    prompt: str
    context: TaskContext = TaskContext()
    constraints: JsonObject = Field(default_factory=dict)
    acceptance_criteria: tuple[str, ...] = ()
    budget: Budget = Budget()
    priority: Priority = "normal"
    required_capabilities: tuple[Name, ...] = ()
    routing: Routing | None = None
    metadata: JsonObject = Field(default_factory=dict)
    deadline_at: datetime | None = None
    parent_id: UUID | None = None
    depends_on: tuple[Dependency, ...] = ()
    hold: bool = False
    workflow_id: UUID | None = None
    task_type: Name | None = None
    estimate: Estimate | None = None
    steps: tuple[UUID, ...] | None = None
    builds_on: tuple[UUID, ...] | None = None


CODE = r"[A-Za-z0-9_.-]{1,64}"
"""How the code of an error reads that somebody else gives us."""


class TaskError(_Part):
    """Why a task or run failed: a stable code, a friendly text, and whether another attempt may help."""

    code: str
    message: str
    retryable: bool = False


class TaskEvent(EventData, aggregate="task"):
    """Any event about one task."""

    task_id: UUID

    @property
    def subject_id(self) -> str:
        """The task's id."""
        return str(self.task_id)


class TaskSubmitted(TaskEvent, name="submitted"):
    """Someone asked for work, and may open the session it belongs to (the envelope's `sessionid`) with it.

    `body_sha256` tells a repeat from another request under the same key; `by` is who asked, if not its owner.
    """

    spec: TaskSpec
    by: str | None = None
    session: SessionSpec | None = None
    idempotency_key: str | None = None
    body_sha256: str | None = None


class TaskControl(TaskEvent, name="control"):
    """Someone wants a task's course changed; the keeper decides whether it can be.

    `body_sha256`: the fingerprint of the request, if it asked the same for others too, under one Idempotency-Key.
    `dependency`: which one is added; all on its task are removed. `checkpoint` is one to be kept, `checkpoint_seq` the
    number of one to go back to.
    """

    action: ControlAction
    by: str
    reason: str | None = None
    attempt: int | None = None
    dependency: Dependency | None = None
    checkpoint: JsonObject | None = None
    checkpoint_seq: int | None = None
    result: JsonObject | None = None
    error: TaskError | None = None
    body_sha256: str | None = None


class Finding(_Part):
    """One thing the reflex layer saw and where; never the matched text."""

    family: str
    type: str
    severity: Literal["critical", "high", "medium", "low"]
    field: str
    start: int
    end: int
    confidence: float


class Sealed(_Part):
    """What a placeholder stands for, encrypted with the tenant's key; `tag` is the same for the same value."""

    tag: str
    value: str


class TaskChecked(TaskEvent, name="checked"):
    """The reflex layer's verdict, and which engine gave it.

    `redacted` holds only the fields whose text differs from the original, `sealed` what its placeholders stand for.
    `would` is what an audit policy would have decided; `injection_score` is a calibrated probability.
    """

    decision: Literal["allow", "redact", "block"]
    findings: tuple[Finding, ...] = ()
    redacted: dict[str, str] | None = None
    sealed: dict[str, Sealed] | None = None
    reason: str | None = None
    would: Literal["redact", "block"] | None = None
    injection_score: float | None = None
    truncated: bool | None = None
    rules_version: str
    engine: str = "builtin"
    us: int = 0


class TaskUnchecked(TaskEvent, name="unchecked"):
    """No verdict could be had and policy asks for one: the task waits, and is tried again `retry_after` s from now."""

    reason: str
    retry_after: float = Field(ge=1, le=3_600)


class TaskEntered(TaskEvent):
    """A task entered a state, and the database says so too (DESIGN rule 5).

    `begun`, of one that is cancelled or skipped: an agent had started on it, in this attempt or in one before.
    """

    status: ClassVar[Status]
    is_state: ClassVar[bool] = True

    kind: Kind
    from_status: Status
    version: int
    attempt: int
    run_id: UUID | None = None
    agent_id: Name | None = None
    required_capabilities: tuple[Name, ...] = ()
    routing: Routing | None = None
    priority: Priority | None = None
    reason: str | None = None
    detail: str | None = None
    result: JsonObject | None = None
    error: TaskError | None = None
    due_at: datetime | None = None
    begun: bool | None = None


class TaskBlocked(TaskEntered, name="blocked"):
    """The verdict forbids the work."""

    status = "blocked"


class TaskWaiting(TaskEntered, name="waiting"):
    """Something must happen first; `reason` says what, `detail` which one."""

    status = "waiting"


class TaskReady(TaskEntered, name="ready"):
    """Checked and free to run: the only door to routing."""

    status = "ready"


FOR_RUNNER, FOR_ENGINE, FOR_OUTSIDE, FOR_PUSH = "assigned", "assigned-engine", "assigned-outside", "assigned-pushed"
"""Whose work an assignment is: each of the four consumers is delivered its own and no other's."""
RUN_GOES_ON = "succeeded-run-goes-on"
"""A task that is done while an agent may still be at work on it: on its owner's word, or in a later attempt."""


class TaskAssigned(TaskEntered, name=FOR_RUNNER, kinds=(FOR_ENGINE, FOR_OUTSIDE, FOR_PUSH)):
    """An agent was chosen for this attempt; `pushed`: one of outside that is called, not one that pulls."""

    status = "assigned"

    pushed: bool | None = None

    @property
    def subject_name(self) -> str:
        """By the agent: one of the runner's, the spec engine, or one of outside that pulls its work or is called."""
        if self.agent_id is None or not is_outside(self.agent_id):
            return FOR_ENGINE if self.agent_id == ENGINE_AGENT else FOR_RUNNER
        return FOR_PUSH if self.pushed else FOR_OUTSIDE


RUN_HAS_ENDED = "running-run-has-ended"
"""A task whose agent is done with it and that may not end before others have begun or ended."""


class TaskRunning(TaskEntered, name="running", kinds=(RUN_HAS_ENDED,)):
    """The agent started; with `run_outcome` it has ended already, and `detail` names the tasks that are waited for."""

    status = "running"

    run_outcome: Literal["succeeded", "partial"] | None = None

    @property
    def subject_name(self) -> str:
        """By whether the agent begins, or is free again."""
        return self.event_name if self.run_outcome is None else RUN_HAS_ENDED


class TaskPaused(TaskEntered, name="paused"):
    """The run is suspended until it is resumed."""

    status = "paused"


class TaskSucceeded(TaskEntered, name="succeeded", kinds=(RUN_GOES_ON,)):
    """Done; `result` is what GET shows."""

    status = "succeeded"

    @property
    def subject_name(self) -> str:
        """By whether there may be a run to stop; of most tasks the run that ended was the only one."""
        return RUN_GOES_ON if self.reason == COMPLETED or self.attempt > 1 else self.event_name


class TaskPartial(TaskEntered, name="partial"):
    """Done in part; `result` holds what there is."""

    status = "partial"


class TaskFailed(TaskEntered, name="failed"):
    """Ended without a result; `error` says why."""

    status = "failed"


class TaskTimedOut(TaskEntered, name="timed_out"):
    """The deadline or the time budget passed."""

    status = "timed_out"


class TaskCancelled(TaskEntered, name="cancelled"):
    """Its owner or an operator stopped it."""

    status = "cancelled"


class TaskSkipped(TaskEntered, name="skipped"):
    """A dependency ended badly, so this was never run."""

    status = "skipped"


STATE_EVENTS: dict[Status, type[TaskEntered]] = {
    event.status: event
    for event in (
        TaskBlocked,
        TaskWaiting,
        TaskReady,
        TaskAssigned,
        TaskRunning,
        TaskPaused,
        TaskSucceeded,
        TaskPartial,
        TaskFailed,
        TaskTimedOut,
        TaskCancelled,
        TaskSkipped,
    )
}
"""The event that announces each state."""
