"""What belongs to a refinement in the world of a batch: its proposal, and the workflow that it is for."""

from collections.abc import Iterable

from consumers.keeper.state import TaskState
from consumers.keeper.workflow_state import ProposalState, WorkflowState, proposal_id
from consumers.keeper.world import Key, State, World
from events.base import Event, EventData
from events.task import TaskSubmitted

UNKNOWN_WORKFLOW = "unknown_workflow"


def of_task(task: State) -> Iterable[Key]:
    """The proposal that belongs to a task: to be loaded along with it."""
    if isinstance(task, TaskState) and task.kind == "refinement":
        return (Key(ProposalState, proposal_id(task.id)),)
    return ()


def workflow_for(data: TaskSubmitted, world: World, event: Event[EventData]) -> WorkflowState | None:
    """The workflow that a new refinement names, if it is there and its owner's."""
    workflow_id = data.spec.workflow_id
    workflow = None if workflow_id is None else world.get(WorkflowState, workflow_id)
    if workflow is None or (workflow.tenant, workflow.owner) != (event.tenantid, event.ownerid):
        return None
    return workflow


def proposal_of_task(world: World, event: Event[EventData]) -> ProposalState | None:
    """The proposal of the event's task, if that is a refinement of a workflow."""
    task = None if event.taskid is None else world.get(TaskState, event.taskid)
    if task is None or task.kind != "refinement":
        return None
    return world.get(ProposalState, proposal_id(task.id))


def has_files(world: World, found: ProposalState) -> bool:
    """Whether the execution that finished is the one whose snapshot is kept."""
    task = world.get(TaskState, found.task_id)
    return task is not None and bool(found.files) and found.execution_id == task.execution_id
