"""What an agent is told of the steps that its task builds on: as much of each result as fits."""

from collections.abc import Sequence

from pydantic_core import to_json

from events.task import TaskSpec
from events.work import MAX_WORK, StepDone
from storage.lookup import Lookup
from storage.steps import StepResult

MAX_BYTES = 100_000
"""Of all results together, as JSON has them; each step has an equal part of that."""


async def steps_of(spec: TaskSpec, lookup: Lookup) -> tuple[StepDone, ...]:
    """The results of the steps, in the order of the plan; nothing is looked up for a task that is in no plan."""
    if not spec.builds_on:
        return ()
    found = await lookup.results(spec.builds_on)
    room = max(0, min(MAX_BYTES, MAX_WORK - len(spec.model_dump_json())))
    return tuple(_done(one, room // len(spec.builds_on)) for one in found)


def as_text(steps: Sequence[StepDone]) -> str:
    """The same for an agent that reads text only."""
    return "\n\n".join(f"Result of the step {one.step} ({one.status}):\n{one.text}" for one in steps)


def _done(one: StepResult, room: int) -> StepDone:
    text = _text_of(one)
    shown = _cut(text, room)
    return StepDone(
        task_id=one.task_id,
        step=one.step or str(one.task_id),
        status=one.status,
        text=shown,
        truncated=True if len(shown) < len(text) else None,
    )


def _cut(text: str, room: int) -> str:
    """As much of the text as has room."""
    while (size := len(to_json(text)) - 2) > room:
        text = text[: len(text) * room // size]
    return text


def _text_of(one: StepResult) -> str:
    """What a person reads of a result; of one without a text, all of it."""
    if one.result is None:
        return ""
    said = one.result.get("text")
    return said if isinstance(said, str) else to_json(one.result).decode()
