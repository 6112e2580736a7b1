"""What an agent that is called is sent: the body of the External Agent Protocol, every text as policy redacts it."""

import math
from collections.abc import Sequence

from pydantic import BaseModel
from pydantic_core import to_json

from events.base import JsonObject
from events.texts import with_texts
from events.work import StepDone, WorkContext
from storage.lookup import TaskView

LONGEST = 3_600
"""Seconds: what the protocol has for `timeout_seconds`."""


def body_for(
    task: TaskView, seconds: float, contexts: Sequence[WorkContext] = (), steps: Sequence[StepDone] = ()
) -> bytes:
    """`{task_id, session_id, task_type, context, input_data, requirements, timeout_seconds}` (requirements 002.2)."""
    spec = with_texts(task.spec, task.redacted)
    context: JsonObject = {
        "run_id": str(task.run_id),
        "attempt": task.attempt,
        "text": spec.context.text,
        "refs": list(spec.context.refs),
        "data": spec.context.data,
        "contexts": [_dumped(one) for one in contexts],
        "steps": [_dumped(one) for one in steps],
    }
    return to_json(
        {
            "task_id": str(task.id),
            "session_id": task.session_id,
            "task_type": spec.task_type or spec.kind,
            "context": context,
            "input_data": {"prompt": spec.prompt, "metadata": spec.metadata},
            "requirements": {
                "acceptance_criteria": list(spec.acceptance_criteria),
                "constraints": spec.constraints,
                "required_capabilities": list(spec.required_capabilities),
                "budget": _dumped(spec.budget),
                "priority": spec.priority,
                "deadline_at": None if spec.deadline_at is None else spec.deadline_at.isoformat(),
            },
            "timeout_seconds": min(LONGEST, max(1, math.floor(seconds))),
        }
    )


def _dumped(model: BaseModel) -> JsonObject:
    dumped: JsonObject = model.model_dump(mode="json", exclude_none=True)
    return dumped
