"""Work events: what an outside agent gets to see of a task that was assigned to it (stream WORK, DESIGN 3)."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from events.base import EventData, JsonObject
from events.context import ContextScope
from events.ids import Name
from events.task import Budget, Kind, Priority, TaskContext


def work_subject(tenant: str, agent_id: str) -> str:
    """Where an agent's assignments are kept."""
    return f"work.{tenant}.{agent_id}"


def work_durable(tenant: str, agent_id: str) -> str:
    """The durable consumer an agent pulls from; no id holds a tilde, so no two agents share a name."""
    return f"{tenant}~{agent_id}"


MAX_WORK = 900_000
"""Bytes of a request with contexts, or with results of steps, that go along: all travel in one message of 1 MiB."""


def stop_subject(tenant: str, agent_id: str) -> str:
    """Core NATS: which of its runs an agent must stop at once (events.work.WorkStopped)."""
    return f"ctl.{tenant}.{agent_id}"


class WorkContext(BaseModel):
    """A context that the task refers to, as it is when the work is handed out; or a `note` why it is not there."""

    model_config = ConfigDict(frozen=True)

    ref: str
    scope: ContextScope | None = None
    version: int | None = None
    data: JsonObject | None = None
    note: str | None = None


class StepDone(BaseModel):
    """How a step of the task ended: what a person reads of its result, `truncated` if that is not all."""

    model_config = ConfigDict(frozen=True)

    task_id: UUID
    step: str
    status: str
    text: str
    truncated: bool | None = None


class WorkCheckpoint(BaseModel):
    """Where an earlier attempt at the task had come to, in its own words; no `data`: it does not fit in the message."""

    model_config = ConfigDict(frozen=True)

    seq: int
    note: str | None = None
    data: JsonObject | None = None


class WorkAssigned(EventData, aggregate="work", name="assigned"):
    """One attempt at a task, on `work.<tenant>.<agent>`; every text in it is as policy redacts it.

    `steps`: the results that the task builds on, if it is in a plan: of its own steps, or of those before it.
    `checkpoint`: what this attempt goes on from, if one before it has left any.
    """

    subject_root: ClassVar[str] = "work"

    task_id: UUID
    run_id: UUID
    attempt: int
    agent_id: Name
    kind: Kind
    prompt: str
    context: TaskContext = TaskContext()
    constraints: JsonObject = Field(default_factory=dict)
    acceptance_criteria: tuple[str, ...] = ()
    metadata: JsonObject = Field(default_factory=dict)
    required_capabilities: tuple[Name, ...] = ()
    budget: Budget = Budget()
    priority: Priority = "normal"
    deadline_at: datetime | None = None
    contexts: tuple[WorkContext, ...] = ()
    steps: tuple[StepDone, ...] | None = None
    checkpoint: WorkCheckpoint | None = None

    @property
    def subject_id(self) -> str:
        """The task's id."""
        return str(self.task_id)


class WorkStopped(EventData, aggregate="work", name="stopped"):
    """A run that nobody wants any more: on `ctl.<tenant>.<agent>`, a hint that is not kept (the door says it too)."""

    subject_root: ClassVar[str] = "ctl"

    task_id: UUID
    run_id: UUID
    attempt: int
    agent_id: Name
    reason: str

    @property
    def subject_id(self) -> str:
        """The task's id."""
        return str(self.task_id)
