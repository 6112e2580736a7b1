"""Dividing a task into steps: the request, the planner's plan, and that none could be made (requirements O.4)."""

from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from events.estimate import Estimate
from events.ids import Name
from events.task import Budget, DependencyType, Priority, TaskError, TaskEvent

MAX_STEPS = 40
"""How many tasks one plan may make, over all its levels."""
MAX_DEPTH = 5


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class PlanOptions(_Part):
    """How a task is to be divided: over how many levels, and by which knowledge."""

    max_depth: int = Field(default=3, ge=1, le=MAX_DEPTH)
    apply_templates: bool = True
    apply_rules: bool = True
    template: Name | None = None
    task_type: Name | None = None


class Step(_Part):
    """One step: a task to be, below the task that is divided or below another step. Its words are ours, no user's."""

    task_id: UUID
    parent_id: UUID
    step: Name
    description: str
    arm: Name
    required_capabilities: tuple[Name, ...] = ()
    priority: Priority | None = None
    estimate: Estimate
    budget: Budget


class Edge(_Part):
    """`after` waits for `before`, in the way that `type` says."""

    before: UUID
    after: UUID
    type: DependencyType = "finish_to_start"
    required: bool = True


class TaskDecompose(TaskEvent, name="decompose"):
    """Someone wants a task divided into steps; `plan_id` names the plan that is to be made."""

    plan_id: UUID
    by: str
    options: PlanOptions = PlanOptions()


class TaskDecomposed(TaskEvent, name="decomposed"):
    """The plan: parents before their steps. The keeper takes it, and all its tasks are there, or none is.

    `total_hours` is what the steps below the task are expected to take together; `critical_path` the longest chain of
    them, which takes `critical_hours`.
    """

    plan_id: UUID
    estimate: Estimate
    children: tuple[Step, ...]
    edges: tuple[Edge, ...] = ()
    templates: tuple[Name, ...] = ()
    rules: tuple[Name, ...] = ()
    strategies: tuple[Name, ...] = ()
    total_hours: float
    critical_path: tuple[UUID, ...] = ()
    critical_hours: float = 0.0


class TaskUndecomposed(TaskEvent, name="undecomposed"):
    """No plan could be made, and why: the task goes on undivided."""

    plan_id: UUID
    error: TaskError
