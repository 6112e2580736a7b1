"""Commands: start, cancel, pause, resume, retry, complete, fail and so on. The task's state grants or refuses each."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from consumers.keeper import checkpoint, family, gate, linking, planning, turns
from consumers.keeper.entering import enter, steer
from consumers.keeper.state import SpecState, TaskState
from consumers.keeper.submission import DEFAULT_DEADLINE, VERDICT, awaits_verdict, was_refused
from consumers.keeper.world import Effect, RefusedError, World
from events.base import About
from events.task import COMPLETED, FINAL, TaskControl, TaskError, TaskSubmitted

MAX_ATTEMPTS = 3

_CAN_GO_ON = ("running", "paused", "failed", "timed_out")
_BEGINS = ("start", "resume", "retry", "replay")

VERDICT_WITHIN = timedelta(seconds=60)
"""After so long without a verdict it is asked for again."""


class Scene(NamedTuple):
    """What a rule may look at beside the command and the task."""

    world: World
    at: datetime


Rule = Callable[[TaskControl, TaskState, Scene], list[Effect]]


def controlled(control: TaskControl, task: TaskState, world: World, at: datetime) -> list[Effect]:
    """What a command leads to. Raises RefusedError."""
    control = _meant(control, task)
    if task.status in FINAL and control.action not in ("retry", "replay", "checkpoint", "follow_up"):
        raise RefusedError("task_final")
    if control.action in _BEGINS and turns.is_archived(world, task):
        raise RefusedError("session_archived")
    if control.checkpoint_seq is not None:
        checkpoint.find(world, task, control.checkpoint_seq)
    return _RULES[control.action](control, task, Scene(world, at))


def _meant(control: TaskControl, task: TaskState) -> TaskControl:
    """Going back to a checkpoint is what lets this task go on. Raises RefusedError if it names none."""
    if control.action != "restore":
        return control
    if control.checkpoint_seq is None:
        raise RefusedError("unknown_checkpoint")
    return control.model_copy(update={"action": "resume" if task.status == "paused" else "retry"})


def has_attempts_left(task: TaskState) -> bool:
    """Whether one more attempt may begin."""
    return task.attempt < MAX_ATTEMPTS + task.course.granted


def after(control: TaskControl, task: TaskState, at: datetime) -> TaskState:
    """What a granted command leaves on the task, whatever state follows.

    Who opens a task again grants it its budget anew, and a deadline if the old one has passed.
    """
    control = _meant(control, task)
    if control.action == "start":
        return steer(task, hold=False)
    if control.action in linking.ACTIONS:
        return linking.after(control, task)
    anew = control.action in ("resume", "reassign")
    if anew or (control.action == "replay" and not has_attempts_left(task)):
        task = steer(task, granted=task.course.granted + 1)
    if control.action in ("retry", "replay") and task.status in FINAL:
        late = task.deadline_at <= at
        task = steer(task, tokens=0, cost_usd=0.0, ms=0.0)
        return task._replace(deadline_at=at + DEFAULT_DEADLINE) if late else task
    return task


def _start(_: TaskControl, task: TaskState, scene: Scene) -> list[Effect]:
    if not task.course.hold:
        raise RefusedError("not_held")
    if awaits_verdict(task):
        return []  # it passes with its verdict
    return [
        gate.pass_or_wait(scene.world, task._replace(course=task.course._replace(hold=False)), attempt=task.attempt)
    ]


def _cancel(control: TaskControl, task: TaskState, _: Scene) -> list[Effect]:
    return [enter(task, "cancelled", reason="cancelled_by_owner", detail=control.reason)]


def _pause(control: TaskControl, task: TaskState, _: Scene) -> list[Effect]:
    if task.status != "running":
        raise RefusedError("not_running")
    if task.course.held is not None:
        raise RefusedError("run_has_ended")
    return [enter(task, "paused", reason="paused_by_owner", detail=control.reason)]


def _resume(_: TaskControl, task: TaskState, __: Scene) -> list[Effect]:
    if task.status != "paused":
        raise RefusedError("not_paused")
    return [enter(task, "ready", attempt=task.attempt + 1, reason="resumed")]


def _retry(control: TaskControl, task: TaskState, scene: Scene) -> list[Effect]:
    if control.attempt is not None and control.attempt != task.attempt:
        raise RefusedError("stale_retry")
    if task.status == "waiting" and task.reason in _ASKED_AGAIN:
        return _ASKED_AGAIN[task.reason](task, scene)
    is_due = task.status == "waiting" and task.reason == "retry"
    if not is_due and task.status not in ("failed", "timed_out"):
        raise RefusedError("not_retryable")
    if was_refused(task):
        raise RefusedError("was_refused")
    if not is_due and family.is_orphan(scene.world, task):
        raise RefusedError("parent_ended")
    if task.attempt == 0:  # it ended before any verdict: nothing may take it to an agent unscreened
        return _ask_for_verdict(task, scene)
    if control.action == "retry" and not has_attempts_left(task):
        raise RefusedError("attempts_used_up")
    if is_due:
        return [enter(task, "ready", attempt=task.attempt + 1, reason="retry")]
    if not turns.may_retry(scene.world, task):
        raise RefusedError("later_turns")
    return [gate.pass_or_wait(scene.world, task, attempt=task.attempt + 1, reason="retry")]


def _ask_for_verdict(task: TaskState, scene: Scene) -> list[Effect]:
    """Wait for a verdict, and have the request screened once more."""
    asked = task.birth or scene.world.get(SpecState, task.id)
    if asked is None:
        raise RefusedError("unknown_task")
    again = TaskSubmitted(task_id=task.id, spec=asked.spec)
    waiting = enter(task, "waiting", reason=VERDICT, due_at=scene.at + VERDICT_WITHIN)
    return [waiting, Effect(again, None, About(task.owner, task.session_id, task.id))]


def _ask_for_plan(task: TaskState, scene: Scene) -> list[Effect]:
    return planning.asked_again(task, scene.at)


_ASKED_AGAIN = {VERDICT: _ask_for_verdict, gate.PLANNING: _ask_for_plan}
"""What a waiting task waits for, and may have got lost."""


def _complete(control: TaskControl, task: TaskState, _: Scene) -> list[Effect]:
    if awaits_verdict(task):
        raise RefusedError("not_checked")
    result = task.result if control.result is None and task.course.held is not None else control.result
    return [enter(task, "succeeded", reason=COMPLETED, detail=control.reason, result=result)]


def _fail(control: TaskControl, task: TaskState, _: Scene) -> list[Effect]:
    code = control.reason or "failed"
    error = control.error or TaskError(code=code, message="The task was ended because it could not go on.")
    return [enter(task, "failed", reason=code, error=error, result=control.result)]


def _time_out(control: TaskControl, task: TaskState, _: Scene) -> list[Effect]:
    """Past its deadline: what no agent ever took was unroutable. With an attempt: that run is past its time."""
    if control.attempt is not None:
        if task.status != "running" or control.attempt != task.attempt or task.course.held is not None:
            raise RefusedError("stale_time_out")
        error = TaskError(code="time_budget", message="The run took longer than the task's budget allows.")
        return [enter(task, "timed_out", reason=error.code, error=error)]
    if task.status == "ready":
        error = TaskError(code="unroutable", message="No agent could take the task before its deadline.")
        return [enter(task, "failed", reason=error.code, error=error)]
    error = TaskError(code="deadline_passed", message="The task did not end before its deadline.")
    return [enter(task, "timed_out", reason=error.code, error=error)]


def _checkpoint(_: TaskControl, task: TaskState, __: Scene) -> list[Effect]:
    """Its owner keeps one: of a task that has begun and that another attempt may take up."""
    if task.status not in _CAN_GO_ON:
        raise RefusedError("task_final" if task.status in FINAL else "not_begun")
    if task.attempt == 0:
        raise RefusedError("not_begun")
    return []


def _add_dependency(control: TaskControl, task: TaskState, scene: Scene) -> list[Effect]:
    return linking.add(control, task, scene.world)


def _remove_dependency(control: TaskControl, task: TaskState, scene: Scene) -> list[Effect]:
    return linking.remove(control, task, scene.world)


def _reassign(control: TaskControl, task: TaskState, _: Scene) -> list[Effect]:
    """Another attempt, by whoever the router finds: its agent has not begun, so it costs none."""
    if task.status != "assigned" or control.attempt not in (None, task.attempt):
        raise RefusedError("already_started")
    return [enter(task, "ready", attempt=task.attempt + 1, reason="reassigned")]


def _follow_up(_: TaskControl, task: TaskState, scene: Scene) -> list[Effect]:
    """Whom its end concerns and did not reach yet, since it concerned too many at once."""
    if task.status not in FINAL:
        raise RefusedError("not_final")
    return family.followers(scene.world, task, task.status)


_RULES: dict[str, Rule] = {
    "start": _start,
    "cancel": _cancel,
    "pause": _pause,
    "resume": _resume,
    "retry": _retry,
    "replay": _retry,
    "complete": _complete,
    "fail": _fail,
    "time_out": _time_out,
    "checkpoint": _checkpoint,
    "add_dependency": _add_dependency,
    "remove_dependency": _remove_dependency,
    "reassign": _reassign,
    "follow_up": _follow_up,
}
