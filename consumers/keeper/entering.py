"""Entering a state: the event that announces it, and the task as it is then (requirements.md O.3)."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from consumers.keeper.rows import left_run_row
from consumers.keeper.state import TaskState
from consumers.keeper.world import Effect, World
from events.base import About, JsonObject
from events.task import DEPENDENCIES, FINAL, GOOD, STATE_EVENTS, Status, TaskEntered, TaskError, TaskRunning

_AT_WORK = ("assigned", "running")
_UNASSIGNED = ("ready", "waiting")
_CALLED_OFF = ("cancelled", "skipped")


def enter(
    task: TaskState,
    status: Status,
    *,
    attempt: int | None = None,
    agent_id: str | None = None,
    run_id: UUID | None = None,
    reason: str | None = None,
    detail: str | None = None,
    result: JsonObject | None = None,
    error: TaskError | None = None,
    due_at: datetime | None = None,
) -> Effect:
    """The event that announces that `task` enters `status`; one that ends badly keeps the result there is."""
    if result is None and status in FINAL and status not in GOOD:
        result = task.result
    begun = {"begun": True} if status in _CALLED_OFF and _has_begun(task) else {}
    entered = STATE_EVENTS[status](
        **begun,
        task_id=task.id,
        kind=task.kind,
        from_status=task.status,
        version=task.version + 1,
        attempt=task.attempt if attempt is None else attempt,
        required_capabilities=task.required_capabilities,
        routing=task.routing if status == "ready" else None,
        priority=task.priority if status == "ready" and task.priority != "normal" else None,
        agent_id=agent_id or (task.agent_id if status not in _UNASSIGNED else None),
        run_id=run_id,
        reason=reason,
        detail=detail,
        result=result,
        error=error,
        due_at=due_at,
    )
    return Effect(entered, entered.version, About(task.owner, task.session_id, task.id))


def fail(task: TaskState, code: str, message: str, *, detail: str | None = None) -> Effect:
    """The task ends as failed, for a reason that another attempt would not change."""
    return enter(task, "failed", reason=code, detail=detail, error=TaskError(code=code, message=message))


def hold(task: TaskState, outcome: Literal["succeeded", "partial"], result: JsonObject | None, detail: str) -> Effect:
    """The task is still `running` although its run has ended so: it waits for the tasks that `detail` names."""
    effect = enter(task, "running", run_id=task.run_id, reason=DEPENDENCIES, detail=detail, result=result)
    return effect._replace(data=effect.data.model_copy(update={"run_outcome": outcome}))


def entered(world: World, task: TaskState, data: TaskEntered, event_id: str, at: datetime) -> TaskState:
    """The task in its new state. A run that is left before its end was heard is closed, so that none stays open."""
    again = data.status in ("ready", "waiting")
    after = task._replace(
        status=data.status,
        version=data.version,
        attempt=data.attempt,
        reason=data.reason,
        detail=data.detail,
        agent_id=None if again else (data.agent_id or task.agent_id),
        run_id=None if again else (data.run_id or task.run_id),
        execution_id=None if again else task.execution_id,
        heartbeat_at=None if again else task.heartbeat_at,
        due_at=data.due_at,
        result=data.result if data.status in FINAL or data.result is not None else task.result,
        error=data.error,
        driving_id=event_id,
        updated_at=at,
        finished_at=at if data.status in FINAL else None,
    )
    if again and _has_begun(task) and not task.course.ran:
        after = steer(after, ran=True)
    outcome = data.run_outcome if isinstance(data, TaskRunning) else None
    if outcome is not None:
        return steer(after._replace(heartbeat_at=None, result=data.result), held=outcome)
    if task.course.held is not None:
        return _let_go(after)
    if again:
        return after if not task.course.left else steer(after, left=False)
    if task.status not in _AT_WORK or data.status in _AT_WORK or _has_ended(world, task):
        return after
    _close_run(world, task, data.status, at)
    return steer(after, left=True)


def _let_go(after: TaskState) -> TaskState:
    """It was done with its work: an end that is not good does not undo that."""
    done = after.status in FINAL and after.status not in GOOD
    return steer(after._replace(effects_done=True) if done else after, held=None)


def steer(task: TaskState, **changes: object) -> TaskState:
    """The task with other values in its course, which is written whenever it was changed."""
    return task._replace(course=task.course._replace(**changes), steered=True)  # type: ignore[arg-type]  # its fields


def _has_begun(task: TaskState) -> bool:
    """Whether an agent has started on it, in this attempt or in one before."""
    return task.course.ran or task.execution_id is not None


def _has_ended(world: World, task: TaskState) -> bool:
    """Whether the run's own end is in this batch: it is what made the task leave."""
    row = world.row("ran", task.run_id)
    return row is not None and row[7] is not None


def _close_run(world: World, task: TaskState, status: Status, at: datetime) -> None:
    if task.run_id is None or task.execution_id is None or task.agent_id is None:
        return  # it was never started, as far as we know
    started = world.row("ran", task.run_id)
    row = left_run_row(task, status, at)
    world.add("ran", task.run_id, row if started is None else (*row[:6], started[6], *row[7:]))
