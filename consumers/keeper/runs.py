"""What runs say: started, alive, finished, and what they spent. One execution an attempt counts (DESIGN rule 6)."""

from datetime import datetime, timedelta

from consumers.keeper import gate
from consumers.keeper.controls import has_attempts_left
from consumers.keeper.entering import enter
from consumers.keeper.state import Course, TaskState
from consumers.keeper.world import Effect, RefusedError, World
from events.run import CALLER_LOST, RUN_LOST, RunDelayed, RunEvent, RunFinished, RunProgress, RunStarted, Usage
from events.task import GOOD, Budget, Status, TaskError

RETRY_AFTER = (timedelta(seconds=2), timedelta(seconds=10))
DECLINED = "declined"
"""The error code of a run that an agent hands back before it began."""
OVERTIME = timedelta(seconds=10)
"""What a run that is past its time is left for ending itself, with what it has so far."""
_OVER_BUDGET = TaskError(code="budget_exceeded", message="The task has spent more than its budget allows.")


def delayed(run: RunDelayed, task: TaskState) -> list[Effect]:
    """The agent waits for something; the task stays with it."""
    _same_attempt(task, run)
    if task.status != "assigned":
        raise RefusedError("already_started")
    return []


def started(run: RunStarted, task: TaskState, at: datetime) -> list[Effect]:
    """The first execution that starts is the one."""
    _same_attempt(task, run)
    if task.status != "assigned":
        raise RefusedError("already_started")
    return [enter(task, "running", agent_id=task.agent_id, run_id=task.run_id, due_at=_time_is_up(task, at))]


def lives(run: RunEvent, task: TaskState) -> list[Effect]:
    """A sign of life; if it says what was spent, that is judged."""
    _same_execution(task, run)
    usage = run.usage if isinstance(run, RunProgress) else None
    if usage is not None and is_over(task.budget, spent_with(task.course, usage)):
        return [enter(task, "failed", reason=_OVER_BUDGET.code, error=_OVER_BUDGET)]
    return []


def finished(run: RunFinished, task: TaskState, world: World, at: datetime) -> list[Effect]:
    """What the end of a run makes of the task: done, held back from being done, tried again, or ended."""
    if is_late(task, run):
        return []
    if run.outcome == "lost":
        (_same_attempt if task.status == "assigned" else _same_execution)(task, run)
        return [_elsewhere(task, run)]
    _same_execution(task, run)
    if is_over(task.budget, spent_with(task.course, run.usage)):
        return [
            enter(task, "failed", reason=_OVER_BUDGET.code, error=_OVER_BUDGET, result=run.output, run_id=run.run_id)
        ]
    error = run.error or TaskError(code=f"run_{run.outcome}", message="The run ended without saying why.")
    if run.outcome in ("succeeded", "partial"):
        kept = gate.kept_from_ending(world, task, run.outcome, run.output) if task.depends_on else None
        return [kept or enter(task, run.outcome, result=run.output, run_id=run.run_id, agent_id=run.agent_id)]
    if run.outcome == "failed" and error.retryable and has_attempts_left(task):
        due = at + RETRY_AFTER[min(task.attempt, len(RETRY_AFTER)) - 1]
        return [enter(task, "waiting", reason="retry", error=error, due_at=due)]
    final: Status = run.outcome if run.outcome in ("timed_out", "cancelled") else "failed"
    return [enter(task, final, reason=error.code, error=error, result=run.output, run_id=run.run_id)]


def _elsewhere(task: TaskState, run: RunFinished) -> Effect:
    """Another attempt, by whoever the router finds; who hands an assignment back costs it none of its attempts."""
    if _is_declined(run):
        return enter(task, "ready", attempt=task.attempt + 1, reason=DECLINED)
    why = CALLER_LOST if run.error is not None and run.error.code == CALLER_LOST else RUN_LOST
    if has_attempts_left(task):
        return enter(task, "ready", attempt=task.attempt + 1, reason=why)
    return enter(task, "failed", reason=why, error=run.error, run_id=run.run_id)


def _is_declined(run: RunFinished) -> bool:
    return run.outcome == "lost" and run.error is not None and run.error.code == DECLINED


def is_late(task: TaskState, run: RunFinished) -> bool:
    """Whether it is the end of a run that its task has left already: it is noted and changes no state."""
    same_run = (run.run_id, run.attempt, run.agent_id) == (task.run_id, task.attempt, task.agent_id)
    return task.course.left and same_run and task.execution_id in (None, run.execution_id)


def after_end(run: RunFinished, task: TaskState) -> TaskState:
    """The task once a run's end is heard: what it spent counts for the next attempt too.

    Of a run that was left before: whether it had done its work all the same, and what there is of its result.
    """
    course = task.course
    if is_late(task, run):
        return task._replace(
            effects_done=run.outcome in GOOD,
            result=task.result if task.status == "succeeded" else run.output or task.result,
            course=course._replace(left=False),
            steered=True,
        )
    if _is_declined(run):
        course = course._replace(granted=course.granted + 1)
    if run.usage == Usage():
        return task if course is task.course else task._replace(course=course, steered=True)
    return task._replace(course=spent_with(course, run.usage), steered=True)


def spent_with(course: Course, usage: Usage) -> Course:
    """What all attempts have spent together, this one included."""
    return course._replace(
        tokens=course.tokens + usage.tokens, cost_usd=course.cost_usd + usage.cost_usd, ms=course.ms + usage.ms
    )


def is_over(budget: Budget, course: Course) -> bool:
    """Whether more tokens or dollars were spent than granted; time is the clock's matter."""
    return course.tokens > budget.max_tokens or course.cost_usd > budget.max_cost_usd


def _time_is_up(task: TaskState, at: datetime) -> datetime:
    """When the janitor ends a run that did not end itself."""
    left = max(1.0, task.budget.max_time_seconds - task.course.ms / 1_000)
    return at + timedelta(seconds=left) + OVERTIME


def _same_attempt(task: TaskState, run: RunEvent) -> None:
    if run.attempt != task.attempt or run.agent_id != task.agent_id or run.run_id != task.run_id:
        raise RefusedError("stale_run")


def _same_execution(task: TaskState, run: RunEvent) -> None:
    _same_attempt(task, run)
    if task.status != "running":
        raise RefusedError("not_running")
    if task.course.held is not None:
        raise RefusedError("run_has_ended")
    if run.execution_id != task.execution_id:
        raise RefusedError("other_execution")
