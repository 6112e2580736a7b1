"""The one door to `ready`, and the one to a good end: a task passes when nothing that it depends on holds it back.

What has to wait says for what. Whoever ends that wait (a start, another task that begins or ends, a session that is
free again) asks here once more. A required dependency that ends badly ends who is held back by it: who has not begun is
skipped, who has begun fails.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Literal
from uuid import UUID

from consumers.keeper import turns
from consumers.keeper.entering import enter, hold
from consumers.keeper.state import TaskState
from consumers.keeper.world import Effect, World
from events.base import JsonObject
from events.dependency import HOLDS_START, has_begun, standing
from events.task import DEPENDENCIES, DEPENDENCIES_MET, Dependency, Status, TaskError

HOLD, PLANNING = "hold", "planning"
PLAN_WITHIN = timedelta(seconds=60)
"""After so long without a plan it is asked for again."""

_NOTHING: Mapping[UUID, Status] = {}
_NAMED = 10
_BROKEN = TaskError(code="dependency_failed", message="A task that this one depends on did not end well.")

GATES: tuple[Callable[[World, TaskState], str | None], ...] = (turns.gate,)
"""What else may hold a task back: the reason it has to wait for, or None."""


def pass_or_wait(
    world: World,
    task: TaskState,
    *,
    attempt: int,
    reason: str | None = None,
    entering: Mapping[UUID, Status] = _NOTHING,
) -> Effect:
    """`ready` for this attempt, or `waiting` with what for, or `skipped`.

    `entering`: what tasks enter by the very event that is being folded.
    """
    unmet, broken = _look(world, task, task.depends_on, entering)
    if broken is not None:
        return enter(task, "skipped", reason=_BROKEN.code, detail=str(broken), error=_BROKEN)
    if task.course.asked is not None:
        return enter(task, "waiting", attempt=attempt, reason=PLANNING, due_at=task.updated_at + PLAN_WITHIN)
    if task.course.hold:
        return enter(task, "waiting", attempt=attempt, reason=HOLD)
    before = [dependency.task_id for dependency in unmet if dependency.type in HOLDS_START]
    if before:
        return wait_for(task, before, attempt=attempt)
    held = next((why for gate in GATES if (why := gate(world, task)) is not None), None)
    if held is not None:
        return enter(task, "waiting", attempt=attempt, reason=held)
    return enter(task, "ready", attempt=max(1, attempt), reason=reason)


def wait_for(task: TaskState, others: Iterable[UUID], *, attempt: int) -> Effect:
    """`waiting` for these tasks."""
    return enter(task, "waiting", attempt=attempt, reason=DEPENDENCIES, detail=_listed([*others]))


def kept_from_ending(
    world: World,
    task: TaskState,
    outcome: Literal["succeeded", "partial"],
    result: JsonObject | None,
    entering: Mapping[UUID, Status] = _NOTHING,
) -> Effect | None:
    """What becomes of a task whose run has ended well, if it may not end so (yet): held back, or failed."""
    unmet, broken = _look(world, task, _of_end(task), entering)
    if broken is not None:
        return _failed(task, broken, result)
    return hold(task, outcome, result, _listed([one.task_id for one in unmet])) if unmet else None


def heard(world: World, task: TaskState, other: UUID, status: Status) -> list[Effect]:
    """What it does to a task that another one, which it depends on, enters this status."""
    entering = {other: status}
    if task.status == "waiting" and task.reason == DEPENDENCIES:
        effect = pass_or_wait(world, task, attempt=task.attempt, reason=DEPENDENCIES_MET, entering=entering)
        return [] if _is_as_before(task, effect) else [effect]
    if not has_passed(task) or all(one.task_id != other for one in _of_end(task)):
        return []
    if task.course.held is not None:
        return _let_end(world, task, task.course.held, entering)
    _, broken = _look(world, task, _of_end(task), entering)
    return [] if broken is None else [_failed(task, broken, task.result)]


def has_passed(task: TaskState) -> bool:
    """Whether it is past the door to `ready` and has not ended."""
    at_work = task.status in ("ready", "assigned", "running", "paused")
    return at_work or (task.status == "waiting" and task.reason == "retry")


def _let_end(
    world: World, task: TaskState, outcome: Literal["succeeded", "partial"], entering: Mapping[UUID, Status]
) -> list[Effect]:
    kept = kept_from_ending(world, task, outcome, task.result, entering)
    if kept is None:
        return [enter(task, outcome, reason=DEPENDENCIES_MET, result=task.result, run_id=task.run_id)]
    return [] if _is_as_before(task, kept) else [kept]


def _look(
    world: World, task: TaskState, dependencies: Iterable[Dependency], entering: Mapping[UUID, Status]
) -> tuple[list[Dependency], UUID | None]:
    """The dependencies that are not met, and a task by whose bad end one is broken."""
    unmet: list[Dependency] = []
    for dependency in dependencies:
        other = world.get(TaskState, dependency.task_id)
        reason = None if other is None else other.reason
        status = entering.get(dependency.task_id) or (other.status if other is not None else "failed")
        begun = dependency.task_id in task.course.begun or has_begun(status, reason)
        found = standing(dependency, status, begun=begun)
        if found == "broken":
            return unmet, dependency.task_id
        if found == "unmet":
            unmet.append(dependency)
    return unmet, None


def _of_end(task: TaskState) -> list[Dependency]:
    return [one for one in task.depends_on if one.type not in HOLDS_START]


def _failed(task: TaskState, broken: UUID, result: JsonObject | None) -> Effect:
    return enter(task, "failed", reason=_BROKEN.code, detail=str(broken), error=_BROKEN, result=result)


def _is_as_before(task: TaskState, effect: Effect) -> bool:
    """Whether it would only say again what the task waits for."""
    said = (getattr(effect.data, name, None) for name in ("status", "reason", "detail"))
    return tuple(said) == (task.status, task.reason, task.detail)


def _listed(ids: list[UUID]) -> str:
    names = list(dict.fromkeys(map(str, ids)))
    return ", ".join(names[:_NAMED]) + (" …" if len(names) > _NAMED else "")
