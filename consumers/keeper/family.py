"""How tasks hang together: who waits for whom, who was made by whom, and where that must end."""

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from consumers.keeper import waits
from consumers.keeper.entering import enter, steer
from consumers.keeper.gate import heard
from consumers.keeper.state import TaskState
from consumers.keeper.world import Effect, Key, State, World
from events.base import MAX_HOPS, About, Event, EventData
from events.dependency import ASKS_START, has_begun
from events.task import FINAL, Dependency, Status, TaskControl, TaskEntered, TaskSubmitted

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
_ENDS_CHILDREN = ("cancelled", "skipped")
FOR_GOOD = FINAL - {"failed", "timed_out"}
"""Ends that no retry takes back: nobody waits for such a task any more."""


def relatives(data: TaskSubmitted) -> Iterator[Key]:
    """The tasks that a new one names."""
    if data.spec.parent_id is not None:
        yield Key(TaskState, data.spec.parent_id)
    for dependency in data.spec.depends_on:
        yield Key(TaskState, dependency.task_id)


def awaited(world: World, task: TaskState) -> TaskState:
    """A newborn task; one that its parent waits for is born with that, whatever becomes of it."""
    parent = world.get(TaskState, task.parent_id) if task.parent_id is not None else None
    if parent is None or not _waits_for(parent, task):
        return task
    return steer(task, dependants=(task.parent_id,))


def _waits_for(task: TaskState, other: TaskState) -> bool:
    return any(dependency.task_id == other.id for dependency in task.depends_on)


def kin(task: State) -> Iterator[Key]:
    """The tasks that an open one waits for, and those that its end may end or wake."""
    if isinstance(task, TaskState) and task.status not in FINAL:
        yield from (Key(TaskState, one) for one in (task.parent_id, task.root_id) if one is not None)
        yield from (Key(TaskState, dependency.task_id) for dependency in task.depends_on)
        yield from followed(task)


def has_room(world: World, task: TaskState, more: int, generations: int) -> bool:
    """Whether so many more tasks may come from this one, in so many generations."""
    root = world.get(TaskState, task.root_id) if task.root_id is not None else task
    family = root.course.family if root is not None else 0
    return family + more <= MAX_FAMILY and task.hopcount + generations <= MAX_HOPS


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
    if len(spec.depends_on) > MAX_DEPENDENCIES + len(spec.steps or ()):
        return "too_many_dependencies", f"A task may depend on {MAX_DEPENDENCIES} others at most."
    return _dependency_refusal(world, event, data, parent)


def _dependency_refusal(
    world: World, event: Event[EventData], data: TaskSubmitted, parent: TaskState | None
) -> tuple[str, str] | None:
    if not data.spec.depends_on:
        return None
    steps = set(data.spec.steps or ())  # they are born right behind it
    for dependency in data.spec.depends_on:
        if dependency.task_id == data.task_id:
            return "cycle", "The task would wait for itself."
        if dependency.task_id in steps:
            continue
        other = world.get(TaskState, dependency.task_id)
        if other is None or not _same_owner(other, event):
            return "unknown_dependency", "There is no such task of yours to depend on."
        if other.status not in FOR_GOOD and len(other.course.dependants) >= MAX_DEPENDANTS:
            return "too_many_dependants", f"{MAX_DEPENDANTS} tasks wait for {other.id} already; no more may."
    # Nobody who is open waits for a task that was not there yet: only what has ancestors can be waited for already.
    if parent is not None and _is_ring(world, data, parent):
        return "cycle", "The task would wait for itself."
    return None


def _is_ring(world: World, data: TaskSubmitted, parent: TaskState) -> bool:
    """Whether what it depends on waits for it: for its end, as all above it do, or for the moment that is held back."""
    ends = {waits.end_of(one) for one in (data.task_id, *(task.id for task in ancestors(world, parent)))}
    asked: dict[waits.Moment, list[waits.Moment]] = {}
    for dependency in data.spec.depends_on:
        asked.setdefault(waits.held_by(data.task_id, dependency), []).append(waits.asked_by(dependency))
    return any(waits.lead_to(world, moments, ends | {held}) for held, moments in asked.items())


def adopt(world: World, data: TaskSubmitted, task: TaskState) -> TaskState:
    """Note in parent, root and dependencies, as far as these may still end, that the new task is there.

    The task, with those noted that have begun already.
    """
    if task.parent_id is not None:
        parent = world.get(TaskState, task.parent_id)
        if parent is not None:
            world.put(parent.id, steer(parent, children=(*parent.course.children, task.id)))
        root_id = task.root_id or task.parent_id
        root = world.get(TaskState, root_id)
        if root is not None:
            world.put(root_id, steer(root, family=root.course.family + 1))
    for dependency in data.spec.depends_on:
        task = tie(world, task, dependency)
    return task


def tie(world: World, task: TaskState, dependency: Dependency) -> TaskState:
    """Note in the other task that this one waits for it, and in this one if the other has begun and that is enough."""
    other = world.get(TaskState, dependency.task_id)
    if other is None or other.status in FOR_GOOD:
        return task
    course = other.course
    starters = course.starters if dependency.type not in ASKS_START else _with(course.starters, task.id)
    world.put(other.id, steer(other, dependants=_with(course.dependants, task.id), starters=starters))
    return _with_begun(task, other.id) if has_begun(other.status, other.reason) else task


def untie(world: World, task: TaskState, other_id: UUID) -> None:
    """Forget in the other task that this one waited for it."""
    other = world.get(TaskState, other_id)
    if other is not None and task.id in other.course.dependants:
        named = (other.course.dependants, other.course.starters)
        dependants, starters = (tuple(one for one in ids if one != task.id) for ids in named)
        world.put(other_id, steer(other, dependants=dependants, starters=starters))


def _with(ids: tuple[UUID, ...], more: UUID) -> tuple[UUID, ...]:
    return ids if more in ids else (*ids, more)


def _with_begun(task: TaskState, other: UUID) -> TaskState:
    """The task with the other one noted as begun, if it asks no more of that."""
    asks = any(one.task_id == other and one.type in ASKS_START for one in task.depends_on)
    if not asks or other in task.course.begun:
        return task
    return steer(task, begun=(*task.course.begun, other))


def note_begin(world: World, task: TaskState, data: TaskEntered) -> None:
    """Remember, in those that wait just for that, that a task has begun: what becomes of it then, they need not ask."""
    if data.status != "running" or not task.course.starters:
        return
    for waiting in _named(world, task.course.starters):
        after = waiting if waiting.status in FOR_GOOD else _with_begun(waiting, task.id)
        if after is not waiting:
            world.put(waiting.id, after)


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
    """What the entering of a state does to others: the end of a task concerns them, and its beginning.

    Where too much has followed already, the log is asked to come back to it: what is still open then, follows then.
    """
    if not (task.course.children or task.course.dependants):
        return []
    if data.status == "running" and data.from_status != "running":
        starters = _named(world, task.course.starters)
        return [effect for one in starters for effect in heard(world, one, task.id, "running")]
    if data.status not in FINAL:
        return []
    if world.led_to < AT_ONCE:
        return followers(world, task, data.status)
    later = TaskControl(task_id=task.id, action="follow_up", by="keeper")
    return [Effect(later, None, About(task.owner, task.session_id, task.id))]


def followed(task: TaskState) -> Iterator[Key]:
    """Whom the end of a task may concern."""
    yield from (Key(TaskState, one) for one in (*task.course.children, *task.course.dependants))


def followers(world: World, task: TaskState, status: Status) -> list[Effect]:
    """What the end of a task does to others: who waits for it goes on or is skipped, and its children may end with it.

    A step of its plan always does: nobody else has use for it.
    """
    effects = [
        enter(child, "cancelled", reason="parent_cancelled" if status in _ENDS_CHILDREN else "parent_ended")
        for child in _named(world, task.course.children)
        if child.status not in FINAL and (status in _ENDS_CHILDREN or _waits_for(task, child))
    ]
    ending = {effect.about.task_id for effect in effects}
    for waiting in _named(world, task.course.dependants):
        if waiting.id not in ending:
            effects += heard(world, waiting, task.id, status)
    return effects


def _named(world: World, ids: tuple[UUID, ...]) -> Iterator[TaskState]:
    for task_id in ids:
        found = world.get(TaskState, task_id)
        if found is not None:
            yield found


def _same_owner(task: TaskState, event: Event[EventData]) -> bool:
    return (task.tenant, task.owner) == (event.tenantid, event.ownerid)


def _is_too_large(world: World, parent: TaskState) -> bool:
    root = world.get(TaskState, parent.root_id) if parent.root_id is not None else parent
    return parent.hopcount + 1 > MAX_HOPS or (root is not None and root.course.family >= MAX_FAMILY)


def ancestors(world: World, parent: TaskState) -> Iterator[TaskState]:
    """The parent, its parent, and so on."""
    task: TaskState | None = parent
    for _ in range(MAX_HOPS + 1):
        if task is None:
            return
        yield task
        task = world.get(TaskState, task.parent_id) if task.parent_id is not None else None
