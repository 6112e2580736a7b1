"""The task's state machine (requirements.md O.3): `decide` what an event leads to, `evolve` to the state after it.

Both are pure. The fold's only clock is the stream's timestamp, so a rebuild from the log gives the same rows. The rules
are beside this: submission.py (birth, verdict), gate.py (the door to `ready`), runs.py, controls.py, family.py.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import singledispatch

from consumers.keeper import calls, controls, family, linking, planning, runs, submission, usage
from consumers.keeper.controls import MAX_ATTEMPTS
from consumers.keeper.entering import enter, entered, fail
from consumers.keeper.rows import (
    life_row,
    planned_row,
    run_row,
    spec_of,
    state_of,
    steered_row,
    task_row,
    verdict_row,
)
from consumers.keeper.state import SpecState, TaskState
from consumers.keeper.world import Aggregate, Effect, Key, RefusedError, State, World
from events import ids
from events.base import MAX_HOPS, Event, EventData
from events.plan import TaskDecompose, TaskDecomposed, TaskUndecomposed
from events.route import RouteDecided, RouteEvent, RouteFailed
from events.run import RunDelayed, RunEvent, RunFiles, RunFinished, RunProgress, RunStarted, RunToolCalled
from events.task import FINAL, TaskChecked, TaskControl, TaskEntered, TaskEvent, TaskSubmitted, TaskUnchecked
from storage.unnest import Row

__all__ = ["AGGREGATE", "MAX_ATTEMPTS", "SPEC", "decide", "evolve", "touches"]


def touches(event: Event[EventData]) -> Iterable[Key]:
    """The task that the envelope names, and those that a new one names."""
    if event.taskid is not None:
        yield Key(TaskState, event.taskid)
    if isinstance(event.data, TaskSubmitted):
        yield from family.relatives(event.data)
    elif isinstance(event.data, TaskDecomposed):
        yield from planning.touches(event.data)
    elif isinstance(event.data, RunToolCalled):
        yield from calls.touches(event.data)


def decide(world: World, event: Event[EventData], at: datetime) -> Sequence[Effect]:
    """The states that this event makes tasks enter. Raises RefusedError."""
    data = event.data
    task = _task_of(world, event)
    if isinstance(data, TaskEntered):
        return () if task is None else family.follow(world, task, data)
    if isinstance(data, TaskSubmitted):
        if task is not None:
            raise RefusedError("task_exists")
        return submission.submitted(data, world, event, at)
    if task is None:
        raise RefusedError("unknown_task")
    if event.tenantid != task.tenant:
        raise RefusedError("foreign_tenant")
    if event.hopcount >= MAX_HOPS and task.status not in FINAL:
        return [fail(task, "loop_detected", f"More than {MAX_HOPS} events led to one another.")]
    effects = _lead_to(data, task, world, at)
    usage.refuse_beyond(world, event, task, at)
    return effects


def _task_of(world: World, event: Event[EventData]) -> TaskState | None:
    task_id = event.taskid
    if task_id is None or getattr(event.data, "task_id", task_id) != task_id:
        raise RefusedError("no_task")
    return world.get(TaskState, task_id)


@singledispatch
def _lead_to(_: EventData, __: TaskState, ___: World, ____: datetime) -> list[Effect]:
    """What one kind of event leads to; one registered rule a kind."""
    return []


@_lead_to.register
def _checked(data: TaskChecked, task: TaskState, world: World, _: datetime) -> list[Effect]:
    return submission.checked(data, task, world)


@_lead_to.register
def _unchecked(data: TaskUnchecked, task: TaskState, _: World, at: datetime) -> list[Effect]:
    return submission.unchecked(data, task, at)


@_lead_to.register
def _routed(route: RouteDecided, task: TaskState, _: World, __: datetime) -> list[Effect]:
    if task.status != "ready" or route.attempt != task.attempt or route.task_version not in (None, task.version):
        raise RefusedError("stale_route")
    effect = enter(task, "assigned", agent_id=route.agent_id, run_id=ids.run_id(task.id, task.attempt))
    return [effect._replace(data=effect.data.model_copy(update={"pushed": True})) if route.pushed else effect]


@_lead_to.register
def _route_failed(route: RouteFailed, task: TaskState, _: World, __: datetime) -> list[Effect]:
    if task.status != "ready" or route.attempt != task.attempt:
        raise RefusedError("stale_route")
    return []


@_lead_to.register
def _run_delayed(run: RunDelayed, task: TaskState, _: World, __: datetime) -> list[Effect]:
    return runs.delayed(run, task)


@_lead_to.register
def _run_started(run: RunStarted, task: TaskState, _: World, at: datetime) -> list[Effect]:
    return runs.started(run, task, at)


@_lead_to.register(RunProgress)
@_lead_to.register(RunFiles)
def _run_lives(run: RunEvent, task: TaskState, _: World, __: datetime) -> list[Effect]:
    return runs.lives(run, task)


@_lead_to.register
def _tool_called(run: RunToolCalled, task: TaskState, world: World, _: datetime) -> list[Effect]:
    led_to = runs.lives(run, task)
    calls.refuse_taken(run, world)
    return led_to


@_lead_to.register
def _run_finished(run: RunFinished, task: TaskState, world: World, at: datetime) -> list[Effect]:
    return runs.finished(run, task, world, at)


@_lead_to.register
def _asked_for_plan(data: TaskDecompose, task: TaskState, world: World, at: datetime) -> list[Effect]:
    return planning.asked(data, task, world, at)


@_lead_to.register
def _divided(data: TaskDecomposed, task: TaskState, world: World, _: datetime) -> list[Effect]:
    return planning.divided(data, task, world)


@_lead_to.register
def _undivided(data: TaskUndecomposed, task: TaskState, world: World, _: datetime) -> list[Effect]:
    return planning.undivided(data, task, world)


@_lead_to.register
def _controlled(control: TaskControl, task: TaskState, world: World, at: datetime) -> list[Effect]:
    return controls.controlled(control, task, world, at)


def evolve(world: World, event: Event[EventData], at: datetime) -> None:
    """Put the task as it is after this event, and the rows that the event leaves beside it."""
    data = event.data
    task = _task_of(world, event)
    if task is None:
        if isinstance(data, TaskSubmitted):
            _put_born(world, event, data, at)
        return
    if isinstance(data, TaskEntered):
        world.put(task.id, entered(world, task, data, event.id, at))
        family.note_begin(world, task, data)
        return
    _note_fact(world, data, at)
    after = planning.with_steps(data, task, world) if isinstance(data, TaskDecomposed) else _noted(data, task, at)
    world.put(task.id, after if after.deadline_at == task.deadline_at else family.within_parent(world, after))
    if isinstance(data, TaskControl) and data.action in linking.ACTIONS:
        linking.note(world, data, after)


def _put_born(world: World, event: Event[EventData], data: TaskSubmitted, at: datetime) -> None:
    task = family.awaited(world, submission.born(data, world, event, at))
    if family.refusal(world, event, data) is None:
        task = family.adopt(world, data, task)
    world.put(task.id, task)


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
        calls.keep(data, world, at)


@singledispatch
def _noted(_: EventData, task: TaskState, __: datetime) -> TaskState:
    """A fact leaves its trace on the row, whatever state follows from it."""
    return task


@_noted.register
def _checked_row(data: TaskChecked, task: TaskState, _: datetime) -> TaskState:
    return task._replace(redacted=data.redacted)


@_noted.register
def _route_failed_row(data: RouteFailed, task: TaskState, at: datetime) -> TaskState:
    return task._replace(reason=data.reason, updated_at=at)


@_noted.register
def _run_delayed_row(data: RunDelayed, task: TaskState, at: datetime) -> TaskState:
    return task._replace(reason=data.reason, heartbeat_at=at)


@_noted.register
def _run_started_row(data: RunStarted, task: TaskState, at: datetime) -> TaskState:
    return task._replace(execution_id=data.execution_id, heartbeat_at=at)


@_noted.register(RunProgress)
@_noted.register(RunFiles)
@_noted.register(RunToolCalled)
def _run_lives_row(_: RunEvent, task: TaskState, at: datetime) -> TaskState:
    return task._replace(heartbeat_at=at)


@_noted.register
def _run_finished_row(run: RunFinished, task: TaskState, _: datetime) -> TaskState:
    return runs.after_end(run, task)


@_noted.register
def _asked_row(data: TaskDecompose, task: TaskState, _: datetime) -> TaskState:
    return planning.noted(data, task)


@_noted.register
def _undivided_row(_: TaskUndecomposed, task: TaskState, __: datetime) -> TaskState:
    return planning.without_plan(task)


@_noted.register
def _controlled_row(control: TaskControl, task: TaskState, at: datetime) -> TaskState:
    return controls.after(control, task, at)


def _row_of(task: State) -> tuple[str, Row]:
    if not isinstance(task, TaskState):
        raise TypeError
    if task.birth is not None:
        return "born", task_row(task)
    if task.planned is not None:
        return "planned", (task.id, *planned_row(task))
    return ("steered", (task.id, *steered_row(task))) if task.steered else ("changed", (task.id, *life_row(task)))


def _never_kept(_: State) -> tuple[str, Row]:
    raise TypeError


AGGREGATE = Aggregate(
    kind=TaskState,
    table="task",
    handles=(TaskEvent, RouteEvent, RunEvent),
    touches=touches,
    decide=decide,
    evolve=evolve,
    state_of=state_of,
    row_of=_row_of,
    kin=family.kin,
)

SPEC = Aggregate(
    kind=SpecState,
    table="spec",
    state_of=spec_of,
    row_of=_never_kept,
)
"""What was asked for, read again in the rare case that a rule needs it."""
