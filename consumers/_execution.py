"""One start of an agent on one attempt at a task, as every fact about it names it (DESIGN rule 6)."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from events.errors import TransientError
from events.run import RUN_LOST, RunFinished
from events.task import TURN_SECONDS, TaskAssigned, TaskError
from storage.lookup import Lookup, TaskView


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


async def assigned(data: TaskAssigned, lookup: Lookup) -> TaskView | None:
    """The task as this assignment has it, to be run or running already; None if it went on without it.

    Raises NotCommittedYetError, and what the lookup raises.
    """
    task = await lookup.task(data.task_id)
    if task is None:
        raise NotCommittedYetError
    stands = task.attempt == data.attempt and task.status in ("assigned", "running") and task.run_id is not None
    return task if stands else None


def lost_of(task: TaskView, code: str = RUN_LOST) -> RunFinished:
    """The end of the execution that the row says is running, when its message came again: its process is gone."""
    if task.run_id is None or task.execution_id is None or task.agent_id is None:
        raise NotCommittedYetError
    execution = Execution(task.run_id, task.id, task.attempt, task.execution_id, task.agent_id)
    error = TaskError(code=code, message="The process that ran the agent ended.", retryable=True)
    return RunFinished(**execution.named(), outcome="lost", error=error)


def seconds_for(task: TaskView) -> float:
    """How long the run may take: the task's budget and deadline, and for a turn TURN_SECONDS; never negative."""
    spec = task.spec
    seconds = float(spec.budget.max_time_seconds)
    if spec.deadline_at is not None:
        seconds = min(seconds, (spec.deadline_at - datetime.now(UTC)).total_seconds())
    return max(0.0, min(seconds, TURN_SECONDS) if spec.kind == "turn" else seconds)
