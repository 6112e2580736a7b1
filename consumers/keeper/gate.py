"""The one door to `ready`: a task passes when nothing holds it and all that it depends on has ended well.

What has to wait says for what. Whoever ends that wait (a start, the end of a dependency, a session that is free again)
asks here once more.
"""

from collections.abc import Callable, Mapping
from uuid import UUID

from consumers.keeper import turns
from consumers.keeper.entering import enter
from consumers.keeper.state import TaskState
from consumers.keeper.world import Effect, World
from events.task import FINAL, GOOD, Status, TaskError

HOLD, DEPENDENCIES = "hold", "dependencies"

_NOTHING: Mapping[UUID, Status] = {}
_NAMED = 10

GATES: tuple[Callable[[World, TaskState], str | None], ...] = (turns.gate,)
"""What else may hold a task back: the reason it has to wait for, or None."""


def pass_or_wait(
    world: World,
    task: TaskState,
    *,
    attempt: int,
    reason: str | None = None,
    ended: Mapping[UUID, Status] = _NOTHING,
) -> Effect:
    """`ready` for this attempt, or `waiting` with what for, or `skipped`.

    `ended`: tasks that enter a final state by the very event that is being folded.
    """
    unmet, broken = _dependencies(world, task, ended)
    if broken is not None:
        error = TaskError(code="dependency_failed", message="A task that this one depends on did not end well.")
        return enter(task, "skipped", reason=error.code, detail=str(broken), error=error)
    if task.course.hold:
        return enter(task, "waiting", attempt=attempt, reason=HOLD)
    if unmet:
        named = ", ".join(map(str, unmet[:_NAMED])) + (" …" if len(unmet) > _NAMED else "")
        return enter(task, "waiting", attempt=attempt, reason=DEPENDENCIES, detail=named)
    held = next((why for gate in GATES if (why := gate(world, task)) is not None), None)
    if held is not None:
        return enter(task, "waiting", attempt=attempt, reason=held)
    return enter(task, "ready", attempt=max(1, attempt), reason=reason)


def _dependencies(world: World, task: TaskState, ended: Mapping[UUID, Status]) -> tuple[list[UUID], UUID | None]:
    """The dependencies that have not ended, and a required one that ended badly."""
    unmet: list[UUID] = []
    for dependency in task.depends_on:
        other = world.get(TaskState, dependency.task_id)
        status = ended.get(dependency.task_id) or (other.status if other is not None else "failed")
        if status not in FINAL:
            unmet.append(dependency.task_id)
        elif dependency.required and status not in GOOD:
            return unmet, dependency.task_id
    return unmet, None
