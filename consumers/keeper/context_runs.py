"""What a run may change of contexts: those that its task's owner lets it write, while it runs (`context:ID?write`)."""

from collections.abc import Iterable

from consumers.keeper.state import SpecState, TaskState
from consumers.keeper.world import Key, RefusedError, World
from events.base import Event, EventData
from events.context import ContextChange, writable_context
from events.task import TaskSpec


def touches(event: Event[EventData]) -> Iterable[Key]:
    """The run's task, and what was asked for."""
    return () if event.taskid is None else (Key(TaskState, event.taskid), Key(SpecState, event.taskid))


def refuse_others(world: World, event: Event[EventData], data: ContextChange) -> None:
    """Raise RefusedError unless the task is at work in this execution, and lets it change this context."""
    task = None if event.taskid is None else world.get(TaskState, event.taskid)
    if task is None or (task.tenant, task.owner) != (event.tenantid, event.ownerid):
        raise RefusedError("no_task")
    if task.status != "running":
        raise RefusedError("not_running")
    if task.course.held is not None:
        raise RefusedError("run_has_ended")
    if data.execution_id != task.execution_id:
        raise RefusedError("other_execution")
    if data.action != "change" or data.context_id not in map(writable_context, _spec_of(world, task).context.refs):
        raise RefusedError("not_granted")


def _spec_of(world: World, task: TaskState) -> TaskSpec:
    found = task.birth or world.get(SpecState, task.id)
    if found is None:
        raise RefusedError("no_task")
    return task.planned or found.spec
