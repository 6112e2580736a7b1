"""The task's state machine (requirements.md O.3): `decide` what an event leads to, `evolve` to the state after it.

Both are pure. The fold's only clock is the stream's timestamp, so a rebuild from the log gives the same rows.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import singledispatch
from operator import itemgetter
from uuid import UUID

from consumers.keeper.rows import life_row, run_row, state_of, task_row, tool_call_row, verdict_row
from consumers.keeper.state import Birth, TaskState
from consumers.keeper.world import Aggregate, Effect, Key, RefusedError, State, World
from events import ids
from events.base import About, Event, EventData, JsonObject
from events.route import RouteDecided, RouteEvent, RouteFailed
from events.run import RunEvent, RunFiles, RunFinished, RunProgress, RunStarted, RunToolCalled
from events.task import (
    FINAL,
    STATE_EVENTS,
    Status,
    TaskChecked,
    TaskControl,
    TaskEntered,
    TaskError,
    TaskEvent,
    TaskSubmitted,
)
from storage.unnest import Row

MAX_ATTEMPTS = 3
RETRY_AFTER = (timedelta(seconds=2), timedelta(seconds=10))
DEFAULT_DEADLINE = timedelta(hours=24)


def touches(event: Event[EventData]) -> Iterable[Key]:
    """The task that the envelope names."""
    return () if event.taskid is None else (Key(TaskState, event.taskid),)


def decide(world: World, event: Event[EventData], at: datetime) -> Sequence[Effect]:
    """The states that this event makes the task enter. Raises RefusedError."""
    data = event.data
    if isinstance(data, TaskEntered):
        return ()
    task = _task_of(world, event)
    if isinstance(data, TaskSubmitted):
        if task is not None:
            raise RefusedError("task_exists")
        return ()
    if task is None:
        raise RefusedError("unknown_task")
    if event.tenantid != task.tenant:
        raise RefusedError("foreign_tenant")
    return [_effect(task, entered) for entered in _lead_to(data, task, at)]


def _task_of(world: World, event: Event[EventData]) -> TaskState | None:
    task_id = event.taskid
    if task_id is None or getattr(event.data, "task_id", task_id) != task_id:
        raise RefusedError("no_task")
    return world.get(TaskState, task_id)


def _effect(task: TaskState, entered: TaskEntered) -> Effect:
    return Effect(entered, entered.version, About(task.owner, task.session_id, task.id))


@singledispatch
def _lead_to(_: EventData, __: TaskState, ___: datetime) -> list[TaskEntered]:
    """What one kind of event leads to; one registered rule a kind."""
    return []


@_lead_to.register
def _checked(verdict: TaskChecked, task: TaskState, _: datetime) -> list[TaskEntered]:
    if task.status != "submitted":
        raise RefusedError("already_checked")
    if verdict.decision == "block":
        error = TaskError(code="blocked_by_policy", message=verdict.reason or "The request was blocked by policy.")
        return [_enter(task, "blocked", reason="blocked_by_policy", error=error)]
    return [_enter(task, "ready", attempt=1)]


@_lead_to.register
def _routed(route: RouteDecided, task: TaskState, _: datetime) -> list[TaskEntered]:
    if task.status != "ready" or route.attempt != task.attempt:
        raise RefusedError("stale_route")
    return [_enter(task, "assigned", agent_id=route.agent_id, run_id=ids.run_id(task.id, task.attempt))]


@_lead_to.register
def _route_failed(route: RouteFailed, task: TaskState, _: datetime) -> list[TaskEntered]:
    if task.status != "ready" or route.attempt != task.attempt:
        raise RefusedError("stale_route")
    return []


@_lead_to.register
def _run_started(run: RunStarted, task: TaskState, _: datetime) -> list[TaskEntered]:
    _same_attempt(task, run)
    if task.status != "assigned":
        raise RefusedError("already_started")
    return [_enter(task, "running", agent_id=task.agent_id, run_id=task.run_id)]


@_lead_to.register(RunProgress)
@_lead_to.register(RunFiles)
@_lead_to.register(RunToolCalled)
def _run_lives(run: RunEvent, task: TaskState, _: datetime) -> list[TaskEntered]:
    _same_execution(task, run)
    return []


@_lead_to.register
def _run_finished(run: RunFinished, task: TaskState, at: datetime) -> list[TaskEntered]:
    _same_execution(task, run)
    error = run.error or TaskError(code=f"run_{run.outcome}", message="The run ended without saying why.")
    if run.outcome in ("succeeded", "partial"):
        return [_enter(task, run.outcome, result=run.output, run_id=run.run_id, agent_id=run.agent_id)]
    if run.outcome == "lost" and task.attempt < MAX_ATTEMPTS:
        return [_enter(task, "ready", attempt=task.attempt + 1, reason="run_lost")]
    if run.outcome == "failed" and error.retryable and task.attempt < MAX_ATTEMPTS:
        due = at + RETRY_AFTER[task.attempt - 1]
        return [_enter(task, "waiting", reason="retry", error=error, due_at=due)]
    final: Status = run.outcome if run.outcome in ("timed_out", "cancelled") else "failed"
    return [_enter(task, final, reason=error.code, error=error, result=run.output, run_id=run.run_id)]


@_lead_to.register
def _controlled(control: TaskControl, task: TaskState, _: datetime) -> list[TaskEntered]:
    if control.action == "retry":
        return [_retried(task, control)]
    if task.status in FINAL:
        raise RefusedError("task_final")
    if control.action == "cancel":
        return [_enter(task, "cancelled", reason=control.reason or "cancelled_by_owner")]
    if control.action == "time_out":
        return [_timed_out(task)]
    error = TaskError(code=control.reason or "failed", message="The task was ended because it could not go on.")
    return [_enter(task, "failed", reason=error.code, error=error)]


def _retried(task: TaskState, control: TaskControl) -> TaskEntered:
    if control.attempt is not None and control.attempt != task.attempt:
        raise RefusedError("stale_retry")
    if task.status not in ("failed", "timed_out", "waiting"):
        raise RefusedError("not_retryable")
    if task.attempt == 0:  # it ended before any verdict: a retry would take it to an agent unscreened
        raise RefusedError("not_checked")
    if task.attempt >= MAX_ATTEMPTS:
        raise RefusedError("attempts_used_up")
    return _enter(task, "ready", attempt=task.attempt + 1, reason="retry")


def _timed_out(task: TaskState) -> TaskEntered:
    """Past its deadline: what no agent ever took was unroutable."""
    if task.status == "ready":
        error = TaskError(code="unroutable", message="No agent could take the task before its deadline.")
        return _enter(task, "failed", reason="unroutable", error=error)
    error = TaskError(code="deadline_passed", message="The task did not end before its deadline.")
    return _enter(task, "timed_out", reason="deadline_passed", error=error)


def _same_attempt(task: TaskState, run: RunEvent) -> None:
    if run.attempt != task.attempt or run.agent_id != task.agent_id or run.run_id != task.run_id:
        raise RefusedError("stale_run")


def _same_execution(task: TaskState, run: RunEvent) -> None:
    _same_attempt(task, run)
    if task.status != "running":
        raise RefusedError("not_running")
    if run.execution_id != task.execution_id:
        raise RefusedError("other_execution")


def _enter(
    task: TaskState,
    status: Status,
    *,
    attempt: int | None = None,
    agent_id: str | None = None,
    run_id: UUID | None = None,
    reason: str | None = None,
    result: JsonObject | None = None,
    error: TaskError | None = None,
    due_at: datetime | None = None,
) -> TaskEntered:
    """The event that announces that `task` enters `status`."""
    return STATE_EVENTS[status](
        task_id=task.id,
        kind=task.kind,
        from_status=task.status,
        version=task.version + 1,
        attempt=task.attempt if attempt is None else attempt,
        required_capabilities=task.required_capabilities,
        routing=task.routing if status == "ready" else None,
        priority=task.priority if status == "ready" and task.priority != "normal" else None,
        agent_id=agent_id,
        run_id=run_id,
        reason=reason,
        result=result,
        error=error,
        due_at=due_at,
    )


def evolve(world: World, event: Event[EventData], at: datetime) -> None:
    """Put the task as it is after this event, and the rows that the event leaves beside it."""
    data = event.data
    task = _task_of(world, event)
    if task is None:
        if isinstance(data, TaskSubmitted):
            world.put(data.task_id, _born(event, data, at))
        return
    after = _entered(task, data, event.id, at) if isinstance(data, TaskEntered) else _noted(data, task, at)
    world.put(task.id, after)
    _note_fact(world, data, at)


def _note_fact(world: World, data: EventData, at: datetime) -> None:
    """Rows beside the task's: what ran, what was judged, which tools were used."""
    if isinstance(data, TaskChecked):
        world.add("judged", data.task_id, verdict_row(data, at))
    elif isinstance(data, RunStarted | RunFinished):
        row, started = run_row(data, at), world.row("ran", data.run_id)
        if started is not None and isinstance(data, RunFinished):
            row = (*row[:6], started[6], *row[7:])
        world.add("ran", data.run_id, row)
    elif isinstance(data, RunToolCalled):
        world.add("called", (data.execution_id, data.seq), tool_call_row(data, at))


@singledispatch
def _noted(_: EventData, task: TaskState, __: datetime) -> TaskState:
    """A fact leaves its trace on the row, whatever state follows from it."""
    return task


@_noted.register
def _checked_row(data: TaskChecked, task: TaskState, _: datetime) -> TaskState:
    return task._replace(redacted=data.redacted, detail=data.reason)


@_noted.register
def _route_failed_row(data: RouteFailed, task: TaskState, at: datetime) -> TaskState:
    return task._replace(reason=data.reason, updated_at=at)


@_noted.register
def _run_started_row(data: RunStarted, task: TaskState, at: datetime) -> TaskState:
    return task._replace(execution_id=data.execution_id, heartbeat_at=at)


@_noted.register(RunProgress)
@_noted.register(RunFiles)
@_noted.register(RunToolCalled)
def _run_lives_row(_: RunEvent, task: TaskState, at: datetime) -> TaskState:
    return task._replace(heartbeat_at=at)


def _born(event: Event[EventData], data: TaskSubmitted, at: datetime) -> TaskState:
    return TaskState(
        id=data.task_id,
        tenant=event.tenantid,
        owner=event.ownerid,
        session_id=event.sessionid,
        kind=data.spec.kind,
        required_capabilities=data.spec.required_capabilities,
        deadline_at=data.spec.deadline_at or at + DEFAULT_DEADLINE,
        status="submitted",
        version=1,
        attempt=0,
        driving_id=event.id,
        updated_at=at,
        priority=data.spec.priority,
        routing=data.spec.routing,
        birth=Birth(
            spec=data.spec,
            idempotency_key=data.idempotency_key,
            body_sha256=data.body_sha256,
            correlation_id=event.correlationid,
            traceparent=event.traceparent,
            hopcount=event.hopcount,
            created_at=at,
        ),
    )


def _entered(task: TaskState, data: TaskEntered, event_id: str, at: datetime) -> TaskState:
    again = data.status in ("ready", "waiting")
    return task._replace(
        status=data.status,
        version=data.version,
        attempt=data.attempt,
        reason=data.reason,
        agent_id=None if again else (data.agent_id or task.agent_id),
        run_id=None if again else (data.run_id or task.run_id),
        execution_id=None if again else task.execution_id,
        heartbeat_at=None if again else task.heartbeat_at,
        due_at=data.due_at,
        result=data.result,
        error=data.error,
        driving_id=event_id,
        updated_at=at,
        finished_at=at if data.status in FINAL else None,
    )


def _row_of(task: State) -> tuple[str, Row]:
    if not isinstance(task, TaskState):
        raise TypeError
    return ("changed", (task.id, *life_row(task))) if task.birth is None else ("born", task_row(task))


AGGREGATE = Aggregate(
    kind=TaskState,
    table="task",
    handles=(TaskEvent, RouteEvent, RunEvent),
    touches=touches,
    decide=decide,
    evolve=evolve,
    state_of=state_of,
    id_of=itemgetter(0),
    row_of=_row_of,
)
