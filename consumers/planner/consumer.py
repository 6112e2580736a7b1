"""The planner: task.decompose -> task.decomposed, or task.undecomposed if no plan fits.

It looks at what was asked for and at nothing that changes but which capabilities there are; whether the task may still
be divided is the keeper's to say, which takes the plan or refuses it.
"""

from collections.abc import Sequence

from consumers._runtime import Flow, Resources
from consumers.planner.knowledge import load
from consumers.planner.plan import Asked, UnplannableError, make
from events.base import Event, EventData
from events.errors import TransientError
from events.plan import TaskDecompose, TaskUndecomposed
from events.streams import PLANNER
from events.task import TaskError
from storage.lookup import Lookup


class TaskMissingError(TransientError):
    """The task's row is not there: it is asked for in the same log, so it comes."""

    code = "not_committed_yet"


class Planner:
    """Makes plans out of templates, rules and strategies; no model is asked."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    async def plan(self, event: Event[EventData]) -> Sequence[EventData]:
        """The plan of the task that is to be divided."""
        data = event.data
        if not isinstance(data, TaskDecompose):
            return ()
        task = await self._lookup.task(data.task_id)
        if task is None:
            raise TaskMissingError
        offered = await self._lookup.capabilities(task.tenant)
        try:
            return [make(Asked(task.id, data.plan_id, task.spec, data.options, offered))]
        except UnplannableError as reason:
            error = TaskError(code=reason.code, message=reason.message)
            return [TaskUndecomposed(task_id=task.id, plan_id=data.plan_id, error=error)]


def build(resources: Resources) -> Flow:
    """The consumer; what it knows is read at once, so that a fault in it stops the start and no plan."""
    load()
    return Flow(PLANNER, Planner(resources.lookup).plan)
