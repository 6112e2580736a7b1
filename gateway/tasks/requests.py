"""What clients send: the body of /submit as its document has it, and the canonical body of /api/v1/tasks."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
)

from events.agent import Tier
from events.base import JsonObject
from events.estimate import MAX_HOURS, MIN_HOURS, of_hours
from events.ids import Name
from events.plan import MAX_DEPTH, PlanOptions
from events.task import CODE, Budget, Dependency, DependencyType, Priority, Routing, TaskContext, TaskSpec
from gateway.http.values import Moment, Whole

_PRIORITIES: dict[str | int, Priority] = {
    "critical": "critical",
    "blocker": "critical",
    "high": "high",
    "normal": "normal",
    "medium": "normal",
    "low": "low",
    "background": "background",
    "deferred": "background",
    0: "critical",
    1: "high",
    2: "normal",
    3: "low",
    4: "background",
}


def _not_a_boolean(value: object) -> object:
    """In Python true is 1, in JSON it is no number."""
    if isinstance(value, bool):
        raise ValueError("must be a word or a number")  # noqa: TRY004 - what pydantic expects
    return value


AnyPriority = Annotated[
    Literal["critical", "blocker", "high", "normal", "medium", "low", "background", "deferred", 0, 1, 2, 3, 4],
    BeforeValidator(_not_a_boolean),
]
"""Every spelling the source documents use (requirements O.2)."""


def _as_written(value: object) -> object:
    """In a URL 0 to 4 are text."""
    return int(value) if isinstance(value, str) and value in {"0", "1", "2", "3", "4"} else value


PriorityFilter = Annotated[AnyPriority, BeforeValidator(_as_written)]
"""The same in the query of a list: who filters may write what creates."""

_NOT_BLANK = r"\S"


def priority_of(said: AnyPriority) -> Priority:
    """The priority in our own words."""
    return _PRIORITIES[said]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class BudgetBody(_Body):
    """What the task may spend: tokens, wall seconds, US dollars."""

    max_tokens: Whole = Field(default=10_000, ge=1, le=100_000)
    max_time_seconds: Whole = Field(default=300, ge=1, le=3_600)
    max_cost_usd: float = Field(default=1.0, ge=0, le=100)

    def budget(self) -> Budget:
        """As the events have it."""
        return Budget.model_construct(
            max_tokens=self.max_tokens, max_time_seconds=self.max_time_seconds, max_cost_usd=self.max_cost_usd
        )


class ContextBody(_Body):
    """What the agent may know besides the prompt: free text, references, data."""

    text: str | None = Field(default=None, max_length=100_000)
    refs: list[Annotated[str, Field(max_length=2_048)]] = Field(default_factory=list, max_length=100)
    data: JsonObject | None = None


Criteria = Annotated[list[Annotated[str, Field(max_length=2_000)]], Field(max_length=100)]


class SubmitRequest(_Body):
    """The body of POST /submit."""

    goal: str = Field(min_length=1, max_length=10_000, pattern=_NOT_BLANK, examples=["Summarise the incident notes"])
    constraints: JsonObject = Field(default_factory=dict)
    context: str | None = Field(default=None, max_length=50_000)
    acceptance_criteria: Criteria = Field(default_factory=list)
    budget: BudgetBody = BudgetBody()
    priority: AnyPriority = "medium"
    metadata: JsonObject = Field(default_factory=dict)

    def spec(self) -> TaskSpec:
        """The task this asks for."""
        return TaskSpec.model_construct(
            kind="goal",
            prompt=self.goal,
            context=TaskContext.model_construct(text=self.context),
            constraints=self.constraints,
            acceptance_criteria=tuple(self.acceptance_criteria),
            budget=self.budget.budget(),
            priority=_PRIORITIES[self.priority],
            metadata=self.metadata,
        )


DependencyWord = Literal[
    "finish_to_start", "start_to_start", "finish_to_finish", "start_to_finish", "FS", "SS", "FF", "SF"
]
"""What of the other task must come first, and before what of this one; both spellings are in use."""
_TYPES: dict[str, DependencyType] = {
    "FS": "finish_to_start",
    "SS": "start_to_start",
    "FF": "finish_to_finish",
    "SF": "start_to_finish",
}


class DependencyBody(_Body):
    """A task of yours that must begin or end first; unless `required` is false, end well."""

    task_id: UUID
    required: bool = Field(default=True, validation_alias=AliasChoices("required", "is_required"))
    type: DependencyWord = Field(default="finish_to_start", validation_alias=AliasChoices("type", "dependency_type"))

    def dependency(self) -> Dependency:
        """As the events have it."""
        return Dependency(task_id=self.task_id, required=self.required, type=_TYPES.get(self.type) or self.type)


class RoutingBody(_Body):
    """What you ask of the agent: preferences weigh, `avoid_technologies` and `min_tier` exclude."""

    preferred_agent_ids: list[Name] = Field(default_factory=list, max_length=32)
    preferred_agent_type: Name | None = None
    technologies: list[Name] = Field(default_factory=list, max_length=32)
    avoid_technologies: list[Name] = Field(default_factory=list, max_length=32)
    min_tier: Tier | None = None

    def routing(self) -> Routing:
        """As the events have it."""
        return Routing(
            preferred_agent_ids=tuple(self.preferred_agent_ids),
            preferred_agent_type=self.preferred_agent_type,
            technologies=tuple(self.technologies),
            avoid_technologies=tuple(self.avoid_technologies),
            min_tier=self.min_tier,
        )


class TaskRequest(_Body):
    """The body of POST /api/v1/tasks.

    `goal` and `description` are taken for `prompt`, `parent_task_id` for `parent_id`, a text for `context`.
    """

    prompt: str = Field(
        min_length=1,
        max_length=100_000,
        pattern=_NOT_BLANK,
        validation_alias=AliasChoices("prompt", "goal", "description"),
        examples=["Summarise the incident notes"],
    )
    context: Annotated[str, Field(max_length=100_000)] | ContextBody | None = None
    constraints: JsonObject = Field(default_factory=dict)
    acceptance_criteria: Criteria = Field(default_factory=list)
    budget: BudgetBody = BudgetBody()
    priority: AnyPriority = "normal"
    required_capabilities: list[Name] = Field(default_factory=list, max_length=32)
    routing: RoutingBody | None = None
    metadata: JsonObject = Field(default_factory=dict)
    deadline_at: Moment | None = None
    parent_id: UUID | None = Field(default=None, validation_alias=AliasChoices("parent_id", "parent_task_id"))
    depends_on: list[UUID | DependencyBody] = Field(default_factory=list, max_length=64)
    hold: bool = False
    task_type: Name | None = None
    estimated_hours: float | None = Field(default=None, ge=MIN_HOURS, le=MAX_HOURS)

    def spec(self) -> TaskSpec:
        """The task this asks for."""
        return TaskSpec.model_construct(
            kind="goal",
            prompt=self.prompt,
            context=_context(self.context),
            constraints=self.constraints,
            acceptance_criteria=tuple(self.acceptance_criteria),
            budget=self.budget.budget(),
            priority=_PRIORITIES[self.priority],
            required_capabilities=tuple(self.required_capabilities),
            routing=self.routing.routing() if self.routing else None,
            metadata=self.metadata,
            deadline_at=self.deadline_at,
            parent_id=self.parent_id,
            depends_on=tuple(map(_dependency, self.depends_on)),
            hold=self.hold,
            task_type=self.task_type,
            estimate=of_hours(self.estimated_hours) if self.estimated_hours is not None else None,
        )


class DecomposeRequest(_Body):
    """The optional body of `decompose`: how deep, and by which knowledge. `template` names one that is to be used."""

    max_depth: Whole = Field(default=3, ge=1, le=MAX_DEPTH)
    apply_templates: bool = True
    apply_rules: bool = True
    template: Name | None = None
    task_type: Name | None = None

    def options(self) -> PlanOptions:
        """As the events have it."""
        return PlanOptions.model_validate(self.model_dump())


StatusWord = Literal[
    "submitted",
    "pending",
    "waiting",
    "blocked",
    "ready",
    "assigned",
    "running",
    "in_progress",
    "paused",
    "succeeded",
    "completed",
    "partial",
    "failed",
    "timed_out",
    "cancelled",
    "skipped",
]
"""Every status that either document knows; most of them no command makes a task enter."""


class ControlRequest(_Body):
    """The optional body of a command about a task."""

    reason: str | None = Field(default=None, max_length=500)


class CompleteRequest(_Body):
    """The optional body of `complete`."""

    result: JsonObject | None = None
    reason: str | None = Field(default=None, max_length=500)


class FailRequest(_Body):
    """The optional body of `fail`: a stable code (as an agent gives it), and a text for people."""

    code: str = Field(default="failed_by_owner", pattern=rf"^{CODE}$")
    message: str = Field(default="The task was ended by its owner.", min_length=1, max_length=1_000)


class StatusRequest(_Body):
    """The status that a task is to have, in our words or the source document's, and what goes with it."""

    status: StatusWord
    reason: str | None = Field(default=None, max_length=500)
    result: JsonObject | None = None
    code: str = Field(default="failed_by_owner", pattern=rf"^{CODE}$")
    message: str = Field(default="The task was ended by its owner.", min_length=1, max_length=1_000)


def _dependency(given: UUID | DependencyBody) -> Dependency:
    if isinstance(given, UUID):
        return Dependency(task_id=given)
    return given.dependency()


def _context(given: str | ContextBody | None) -> TaskContext:
    if isinstance(given, ContextBody):
        return TaskContext.model_construct(text=given.text, refs=tuple(given.refs), data=given.data)
    return TaskContext.model_construct(text=given)
