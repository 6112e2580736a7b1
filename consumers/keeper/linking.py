"""What a task depends on, changed after it was asked for: only while it has not passed the door to `ready`."""

from consumers.keeper import family, gate, waits
from consumers.keeper.entering import steer
from consumers.keeper.state import TaskState
from consumers.keeper.submission import VERDICT
from consumers.keeper.world import Effect, RefusedError, World
from events.dependency import has_begun, standing
from events.task import DEPENDENCIES, Dependency, TaskControl

ACTIONS = ("add_dependency", "remove_dependency")
_WAITS_FOR = (VERDICT, gate.HOLD, DEPENDENCIES)


def add(control: TaskControl, task: TaskState, world: World) -> list[Effect]:
    """What follows from one more dependency. Raises RefusedError."""
    dependency = _named(control, task)
    if any((one.task_id, one.type) == (dependency.task_id, dependency.type) for one in task.depends_on):
        raise RefusedError("depends_already")
    if len(task.depends_on) >= family.MAX_DEPENDENCIES:
        raise RefusedError("too_many_dependencies")
    other = world.get(TaskState, dependency.task_id)
    if other is None or (other.tenant, other.owner) != (task.tenant, task.owner):
        raise RefusedError("unknown_dependency")
    if other.status not in family.FOR_GOOD and len(other.course.dependants) >= family.MAX_DEPENDANTS:
        raise RefusedError("too_many_dependants")
    if standing(dependency, other.status, begun=has_begun(other.status, other.reason)) == "broken":
        raise RefusedError("dependency_failed")
    _refuse_cycle(world, task, dependency)
    return _asked_again(world, _linked(task, (*task.depends_on, dependency)))


def remove(control: TaskControl, task: TaskState, world: World) -> list[Effect]:
    """What follows when it does not depend on another task any more. Raises RefusedError."""
    dependency = _named(control, task)
    left = tuple(one for one in task.depends_on if one.task_id != dependency.task_id)
    if left == task.depends_on:
        raise RefusedError("not_a_dependency")
    return _asked_again(world, _linked(task, left))


def after(control: TaskControl, task: TaskState) -> TaskState:
    """The task with what it depends on as the command has it."""
    changed = control.dependency
    if changed is None:
        return task
    if control.action == "add_dependency":
        return _linked(task, (*task.depends_on, changed))
    return _linked(task, tuple(one for one in task.depends_on if one.task_id != changed.task_id))


def note(world: World, control: TaskControl, task: TaskState) -> None:
    """Note in the other task who waits for it, and in this one if that has begun."""
    if control.dependency is None:
        return
    if control.action == "add_dependency":
        world.put(task.id, family.tie(world, task, control.dependency))
    else:
        family.untie(world, task, control.dependency.task_id)


def _named(control: TaskControl, task: TaskState) -> Dependency:
    if control.dependency is None:
        raise RefusedError("no_dependency")
    if task.kind not in ("goal", "subtask"):
        raise RefusedError("depends_on_nothing")
    if task.status != "submitted" and not (task.status == "waiting" and task.reason in _WAITS_FOR):
        raise RefusedError("has_begun")
    return control.dependency


def _refuse_cycle(world: World, task: TaskState, dependency: Dependency) -> None:
    if dependency.task_id == task.id:
        raise RefusedError("cycle")
    if task.parent_id is None and not task.course.dependants:
        return  # nobody waits for it
    parent = world.get(TaskState, task.parent_id) if task.parent_id is not None else None
    above = family.ancestors(world, parent) if parent is not None else ()
    goals = {waits.end_of(task.id), waits.held_by(task.id, dependency), *(waits.end_of(one.id) for one in above)}
    found = waits.lead_to(world, [waits.asked_by(dependency)], goals)
    if found:
        raise RefusedError("cycle")
    if found is None:
        raise RefusedError("too_far")


def _linked(task: TaskState, dependencies: tuple[Dependency, ...]) -> TaskState:
    return steer(task, linked=dependencies)._replace(depends_on=dependencies)


def _asked_again(world: World, task: TaskState) -> list[Effect]:
    if task.reason != DEPENDENCIES:
        return []  # it is asked when that wait is over
    return [gate.pass_or_wait(world, task, attempt=task.attempt)]
