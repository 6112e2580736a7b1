"""One start of an agent on one attempt at a task, as every fact about it names it (DESIGN rule 6)."""

from dataclasses import dataclass
from uuid import UUID

from events.errors import TransientError
from events.run import RunFinished
from events.task import TaskError
from storage.lookup import TaskView


class NotCommittedYetError(TransientError):
    """The task's row is not where its event says it is; the event is committed first, so this passes."""

    code = "not_committed_yet"


@dataclass(frozen=True, slots=True)
class Execution:
    """One start of an agent on one attempt at a task; every fact names it."""

    run_id: UUID
    task_id: UUID
    attempt: int
    execution_id: UUID
    agent_id: str

    def named(self) -> dict[str, object]:
        """The fields that every fact of this execution has."""
        return {name: getattr(self, name) for name in Execution.__slots__}


def lost_of(task: TaskView) -> RunFinished:
    """The end of the execution that the row says is running, when its message came again: its process is gone."""
    if task.run_id is None or task.execution_id is None or task.agent_id is None:
        raise NotCommittedYetError
    execution = Execution(task.run_id, task.id, task.attempt, task.execution_id, task.agent_id)
    error = TaskError(code="run_lost", message="The process that ran the agent ended.", retryable=True)
    return RunFinished(**execution.named(), outcome="lost", error=error)
