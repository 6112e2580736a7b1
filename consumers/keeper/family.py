"""How tasks hang together: who waits for whom, who was made by whom, and where that must end."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

from consumers.keeper.entering import enter, steer
from consumers.keeper.gate import DEPENDENCIES, pass_or_wait
from consumers.keeper.state import TaskState
from consumers.keeper.world import Effect, Key, State, World
from events.base import MAX_HOPS, About, Event, EventData
from events.task import DEPENDENCIES_MET, FINAL, Status, TaskControl, TaskEntered, TaskSubmitted

MAX_FAMILY = 256
"""How many tasks may descend from one root."""
MAX_DEPENDENCIES = 64
MAX_DEPENDANTS = 1_024
"""How many tasks may wait for one: its row names them, and its end reaches them all at once."""
AT_ONCE = 2_048
"""Effects of one event after which no further end is followed in the same commit: one that held a whole web of tasks
would outlast the keeper's lease."""
REFUSALS = frozenset(
    {
        "loop_detected",
        "unknown_parent",
        "parent_ended",
        "too_many_dependencies",
        "cycle",
        "unknown_dependency",
        "too_many_dependants",
    }
)
_WALKED = 1_024
_ENDS_CHILDREN = ("cancelled", "skipped")
_FOR_GOOD = FINAL - {"failed", "timed_out"}
"""Ends that no retry takes back: nobody waits for such a task any more."""


def relatives(data: TaskSubmitted) -> Iterator[Key]:
    """The tasks that a new one names."""
    if data.spec.parent_id is not None:
        yield Key(TaskState, data.spec.parent_id)
    for dependency in data.spec.depends_on:
        yield Key(TaskState, dependency.task_id)


def kin(task: State) -> Iterator[Key]:
    """The tasks that an open one waits for, and those that its end may end or wake."""
    if isinstance(task, TaskState) and task.status not in FINAL:
        yield from (Key(TaskState, one) for one in (task.parent_id, task.root_id) if one is not None)
        yield from (Key(TaskState, dependency.task_id) for dependency in task.depends_on)
        yield from followed(task)


def refusal(world: World, event: Event[EventData], data: TaskSubmitted) -> tuple[str, str] | None:
    """Why a new task cannot be taken up, as code and text; it is kept all the same, as failed."""
    spec = data.spec
    if event.hopcount >= MAX_HOPS:
        return "loop_detected", "Too many events led to one another before this task."
    parent = world.get(TaskState, spec.parent_id) if spec.parent_id is not None else None
    if spec.parent_id is not None and (parent is None or not _same_owner(parent, event)):
        return "unknown_parent", "There is no such parent task of yours."
    if parent is not None and parent.status in FINAL:
        return "parent_ended", "The parent task has ended already."
    if parent is not None and _is_too_large(world, parent):
        return "loop_detected", f"More than {MAX_FAMILY} tasks, or {MAX_HOPS} generations, come from one task."
    if len(spec.depends_on) > MAX_DEPENDENCIES:
        return "too_many_dependencies", f"A task may depend on {MAX_DEPENDENCIES} others at most."
    return _dependency_refusal(world, event, data, parent)


def _dependency_refusal(
    world: World, event: Event[EventData], data: TaskSubmitted, parent: TaskState | None
) -> tuple[str, str] | None:
    if not data.spec.depends_on:
        return None
    own = {data.task_id} | ({one.id for one in _ancestors(world, parent)} if parent is not None else set())
    others: list[TaskState] = []
    for dependency in data.spec.depends_on:
        if dependency.task_id in own:
            return "cycle", "The task would wait for itself."
        other = world.get(TaskState, dependency.task_id)
        if other is None or not _same_owner(other, event):
            return "unknown_dependency", "There is no such task of yours to depend on."
        if other.status not in _FOR_GOOD and len(other.course.dependants) >= MAX_DEPENDANTS:
            return "too_many_dependants", f"{MAX_DEPENDANTS} tasks wait for {other.id} already; no more may."
        others.append(other)
    # Nobody who is open waits for a task that was not there yet: only what has ancestors can be waited for already.
    if _lead_to(world, others, own, far=parent is not None):
        return "cycle", "The task would wait for itself."
    return None


def adopt(world: World, data: TaskSubmitted, task: TaskState) -> None:
    """Note in parent, root and dependencies, as far as these may still end, that the new task is there."""
    if task.parent_id is not None:
        _steer(world, task.parent_id, children=task.id)
        root_id = task.root_id or task.parent_id
        root = world.get(TaskState, root_id)
        if root is not None:
            world.put(root_id, steer(root, family=root.course.family + 1))
    for dependency in data.spec.depends_on:
        other = world.get(TaskState, dependency.task_id)
        if other is not None and other.status not in _FOR_GOOD:
            _steer(world, other.id, dependants=task.id)


def root_of(world: World, parent_id: UUID | None) -> UUID | None:
    """The task that the whole family comes from."""
    parent = world.get(TaskState, parent_id) if parent_id is not None else None
    return None if parent is None else parent.root_id or parent.id


def generation(world: World, event: Event[EventData], parent_id: UUID | None) -> int:
    """How many events or tasks came before: what an event says of itself counts only if it is more than we know."""
    parent = world.get(TaskState, parent_id) if parent_id is not None else None
    return event.hopcount if parent is None else max(event.hopcount, parent.hopcount + 1)


def latest_deadline(world: World, parent_id: UUID | None) -> datetime | None:
    """The parent's: nobody waits for a child after that."""
    parent = world.get(TaskState, parent_id) if parent_id is not None else None
    return None if parent is None else parent.deadline_at


def is_orphan(world: World, task: TaskState) -> bool:
    """Whether its parent has ended: nothing of what it was made for begins any more."""
    parent = world.get(TaskState, task.parent_id) if task.parent_id is not None else None
    return parent is not None and parent.status in FINAL


def within_parent(world: World, task: TaskState) -> TaskState:
    """The task with its parent's deadline, if that comes first."""
    latest = latest_deadline(world, task.parent_id)
    return task if latest is None or task.deadline_at <= latest else task._replace(deadline_at=latest)


def follow(world: World, task: TaskState, data: TaskEntered) -> list[Effect]:
    """What the entering of a state does to others; nobody but the end of a task concerns them.

    Where too much has followed already, the log is asked to come back to it: what is still open then, follows then.
    """
    if data.status not in FINAL or not (task.course.children or task.course.dependants):
        return []
    if world.led_to < AT_ONCE:
        return followers(world, task, data.status)
    later = TaskControl(task_id=task.id, action="follow_up", by="keeper")
    return [Effect(later, None, About(task.owner, task.session_id, task.id))]


def followed(task: TaskState) -> Iterator[Key]:
    """Whom the end of a task may concern."""
    yield from (Key(TaskState, one) for one in (*task.course.children, *task.course.dependants))


def followers(world: World, task: TaskState, status: Status) -> list[Effect]:
    """What the end of a task does to others: its children may end with it, who waits for it goes on or is skipped."""
    effects: list[Effect] = []
    if status in _ENDS_CHILDREN:
        open_children = [child for child in _named(world, task.course.children) if child.status not in FINAL]
        effects += [enter(child, "cancelled", reason="parent_cancelled") for child in open_children]
    ending = {effect.about.task_id for effect in effects}
    for waiting in _named(world, task.course.dependants):
        if waiting.status == "waiting" and waiting.reason == DEPENDENCIES and waiting.id not in ending:
            effects.append(
                pass_or_wait(world, waiting, attempt=waiting.attempt, reason=DEPENDENCIES_MET, ended={task.id: status})
            )
    return effects


def _named(world: World, ids: tuple[UUID, ...]) -> Iterator[TaskState]:
    for task_id in ids:
        found = world.get(TaskState, task_id)
        if found is not None:
            yield found


def _steer(world: World, task_id: UUID, *, children: UUID | None = None, dependants: UUID | None = None) -> None:
    task = world.get(TaskState, task_id)
    if task is None:
        return
    course = task.course
    more = {"children": (*course.children, children)} if children else {"dependants": (*course.dependants, dependants)}
    world.put(task_id, steer(task, **more))


def _same_owner(task: TaskState, event: Event[EventData]) -> bool:
    return (task.tenant, task.owner) == (event.tenantid, event.ownerid)


def _is_too_large(world: World, parent: TaskState) -> bool:
    root = world.get(TaskState, parent.root_id) if parent.root_id is not None else parent
    return parent.hopcount + 1 > MAX_HOPS or (root is not None and root.course.family >= MAX_FAMILY)


def _ancestors(world: World, parent: TaskState) -> Iterator[TaskState]:
    task: TaskState | None = parent
    for _ in range(MAX_HOPS + 1):
        if task is None:
            return
        yield task
        task = world.get(TaskState, task.parent_id) if task.parent_id is not None else None


def _lead_to(world: World, starts: Sequence[TaskState], goals: set[UUID], *, far: bool) -> bool:
    """Whether one of `starts` waits for one of `goals`: itself or, if `far`, over any number of tasks."""
    seen = {start.id for start in starts}
    ahead = list(starts)
    while ahead and len(seen) <= _WALKED:
        for dependency in ahead.pop().depends_on:
            if dependency.task_id in goals:
                return True
            other = world.get(TaskState, dependency.task_id) if far and dependency.task_id not in seen else None
            if other is not None and other.status not in FINAL:
                seen.add(other.id)
                ahead.append(other)
    return False
