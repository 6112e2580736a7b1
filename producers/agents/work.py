"""What a handler is given, and what may come back from it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self, cast
from uuid import UUID

from events.base import JsonObject
from events.task import Budget, Kind, Priority, TaskContext
from events.work import StepDone, WorkAssigned, WorkCheckpoint, WorkContext


@dataclass(frozen=True, slots=True)
class Task:
    """One attempt at a task; every text in it is as policy lets an agent see it. `run_id` recognises a repeat.

    `contexts` are those that its references name (`context:ID`), as they were when it was handed out.
    `steps`: the results that it builds on, if it is in a plan: of its own steps, or of those before it.
    `checkpoint`: the last one of an attempt before this, or the one that its owner has gone back to.
    """

    id: UUID
    run_id: UUID
    attempt: int
    kind: Kind
    prompt: str
    context: TaskContext
    constraints: JsonObject
    acceptance_criteria: tuple[str, ...]
    metadata: JsonObject
    required_capabilities: tuple[str, ...]
    budget: Budget
    priority: Priority
    deadline_at: datetime | None
    contexts: tuple[WorkContext, ...] = ()
    steps: tuple[StepDone, ...] = ()
    checkpoint: WorkCheckpoint | None = None

    @classmethod
    def of(cls, assigned: WorkAssigned) -> Self:
        """The task of an assignment."""
        return cls(
            id=assigned.task_id,
            run_id=assigned.run_id,
            attempt=assigned.attempt,
            kind=assigned.kind,
            prompt=assigned.prompt,
            context=assigned.context,
            constraints=assigned.constraints,
            acceptance_criteria=assigned.acceptance_criteria,
            metadata=assigned.metadata,
            required_capabilities=assigned.required_capabilities,
            budget=assigned.budget,
            priority=assigned.priority,
            deadline_at=assigned.deadline_at,
            contexts=assigned.contexts,
            steps=assigned.steps or (),
            checkpoint=assigned.checkpoint,
        )


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it, where a plain JSON object or a text does not say enough.

    `partial`: done in part only. `quality`: from 0 to 1, the agent's own judgement.
    """

    output: JsonObject
    partial: bool = False
    quality: float | None = None


Returned = Result | Mapping[str, object] | str | None
"""What a handler may return; a text becomes `{"text": …}`."""


def result_of(returned: Returned) -> Result:
    """What a handler returned, in one form. Raises TypeError or ValueError for what is no JSON."""
    if isinstance(returned, Result):
        result = returned
    elif isinstance(returned, str):
        result = Result({"text": returned})
    elif returned is None or isinstance(returned, Mapping):
        result = Result(cast("JsonObject", dict(returned or {})))
    else:
        raise TypeError(f"a handler returns a JSON object, a text, a Result or None, not {type(returned).__name__}")
    json.dumps(result.output, allow_nan=False)
    return result
