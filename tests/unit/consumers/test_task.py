"""The task's state machine against the table of O.3, event by event and in long random histories."""

from datetime import UTC, datetime, timedelta
from typing import get_args
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.keeper.calls import CallState
from consumers.keeper.state import SpecState, TaskState
from consumers.keeper.task import MAX_ATTEMPTS, decide, evolve, touches
from consumers.keeper.world import Key, RefusedError, World
from consumers.planner.plan import Asked, make
from events import (
    FINAL,
    STATE_EVENTS,
    Candidate,
    ControlAction,
    Event,
    EventData,
    PlanOptions,
    RouteDecided,
    RouteFailed,
    RunFinished,
    RunProgress,
    RunStarted,
    RunToolCalled,
    Status,
    TaskChecked,
    TaskControl,
    TaskDecompose,
    TaskEntered,
    TaskError,
    TaskSpec,
    TaskSubmitted,
    TaskUnchecked,
    TaskUndecomposed,
)
from events.ids import derived_id, run_id

AT = datetime(2026, 1, 1, tzinfo=UTC)
TASK = UUID("0192f0c1-0000-7000-8000-000000000001")
PLAN = make(Asked(TASK, derived_id("plan"), TaskSpec(prompt="x"), PlanOptions()))
EXECUTION, OTHER = derived_id("execution"), derived_id("other execution")
STATUSES: tuple[Status, ...] = get_args(Status)

# O.3; besides, a dead letter or a deadline ends whatever is open, its owner may say that it is done, what never
# had a verdict waits for one when it is retried, and what is to be divided waits for its plan.
LEGAL: dict[Status, set[Status]] = {
    "submitted": {"blocked", "waiting", "ready", "cancelled", "failed", "timed_out"},
    "waiting": {"blocked", "waiting", "ready", "skipped", "cancelled", "failed", "timed_out", "succeeded"},
    "ready": {"assigned", "waiting", "cancelled", "failed", "timed_out", "succeeded"},
    "assigned": {"running", "ready", "cancelled", "timed_out", "failed", "succeeded"},
    "running": {"succeeded", "partial", "failed", "timed_out", "cancelled", "paused", "ready", "waiting"},
    "paused": {"ready", "cancelled", "failed", "timed_out", "succeeded"},
    "failed": {"ready", "waiting"},
    "timed_out": {"ready", "waiting"},
    **{status: set() for status in ("blocked", "succeeded", "partial", "cancelled", "skipped")},
}


def facts(attempt: int = 1, execution: UUID = EXECUTION, agent: str = "extractive") -> dict[str, EventData]:
    """One of everything that can be said about the task."""
    run = {
        "run_id": run_id(TASK, attempt),
        "task_id": TASK,
        "attempt": attempt,
        "execution_id": execution,
        "agent_id": agent,
    }
    error = TaskError(code="agent_error", message="It failed.")
    ends: dict[str, EventData] = {
        f"finished {outcome}": RunFinished.model_validate({**run, "outcome": outcome})
        for outcome in ("succeeded", "partial", "failed", "timed_out", "cancelled", "lost")
    }
    controls: dict[str, EventData] = {
        f"control {action}": TaskControl.model_validate({"task_id": TASK, "action": action, "by": "o"})
        for action in get_args(ControlAction)
    }
    checks: dict[str, EventData] = {
        f"checked {decision}": TaskChecked.model_validate({"task_id": TASK, "decision": decision, "rules_version": "1"})
        for decision in ("allow", "redact", "block")
    }
    unplanned = TaskError(code="budget_too_small", message="It does not go round.")
    return {
        "decompose": TaskDecompose(task_id=TASK, plan_id=PLAN.plan_id, by="o"),
        "decomposed": PLAN,
        "undecomposed": TaskUndecomposed(task_id=TASK, plan_id=PLAN.plan_id, error=unplanned),
        "submitted": TaskSubmitted(task_id=TASK, spec=TaskSpec(prompt="x")),
        "unchecked": TaskUnchecked(task_id=TASK, reason="reflex_away", retry_after=5),
        "decided": RouteDecided(task_id=TASK, attempt=attempt, agent_id=agent, score=1.0, reason="only one"),
        "unroutable": RouteFailed(
            task_id=TASK, attempt=attempt, reason="no_capability", candidates=(Candidate(agent_id="a"),)
        ),
        "started": RunStarted.model_validate(run),
        "progress": RunProgress.model_validate({**run, "seq": 1}),
        "tool": RunToolCalled.model_validate({**run, "seq": 1, "tool": "search"}),
        "finished retryable": RunFinished.model_validate(
            {**run, "outcome": "failed", "error": error.model_copy(update={"retryable": True})}
        ),
        **ends,
        **controls,
        **checks,
    }


def event(data: EventData, number: int = 0, tenant: str = "t") -> Event[EventData]:
    return Event.first(
        data,
        source="/test",
        tenant=tenant,
        owner="o",
        task_id=TASK,
        event_id=derived_id("event", number),
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        time=AT,
    )


def task_in(status: Status, attempt: int = 1) -> TaskState:
    """A task as the fold would have it in that status."""
    assigned = status not in ("submitted", "waiting", "ready", "blocked")
    started = assigned and status != "assigned"
    return TaskState(
        id=TASK,
        tenant="t",
        owner="o",
        session_id=None,
        kind="goal",
        required_capabilities=(),
        deadline_at=AT + timedelta(hours=24),
        status=status,
        version=7,
        attempt=0 if status in ("submitted", "blocked") else attempt,
        driving_id="e",
        created_at=AT,
        updated_at=AT,
        reason="retry" if status == "waiting" else None,
        agent_id="extractive" if assigned else None,
        run_id=run_id(TASK, attempt) if assigned else None,
        execution_id=EXECUTION if started else None,
        finished_at=AT if status in FINAL else None,
    )


def fold(task: TaskState | None, cause: Event[EventData], at: datetime = AT) -> tuple[TaskState | None, list[Status]]:
    """As the keeper folds: what was decided is folded before anything else. Raises RefusedError."""
    spec = SpecState(TASK, TaskSpec(prompt="x"))
    waited_for = {one.task_id for one in task.depends_on} if task is not None else set()
    steps = {step.task_id: task_in("submitted")._replace(id=step.task_id) for step in PLAN.children}
    known = {Key(TaskState, one): step if one in waited_for else None for one, step in steps.items()}
    unheard = {key: None for key in touches(cause) if key.kind is CallState}
    world = World({Key(TaskState, TASK): task, Key(SpecState, TASK): spec, **known, **unheard})
    effects = decide(world, cause, at)
    evolve(world, cause, at)
    for index, effect in enumerate(effects):
        caused = cause.caused(
            effect.data, source="/keeper", index=index, time=at, version=effect.version, about=effect.about
        )
        if not isinstance(effect.data, TaskSubmitted | TaskDecompose):
            evolve(world, caused, at)
    entered = [effect.data for effect in effects if isinstance(effect.data, TaskEntered)]
    return world.get(TaskState, TASK), [data.status for data in entered]


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("name", facts())
@pytest.mark.parametrize("attempt", [1, MAX_ATTEMPTS])
def test_every_event_in_every_state_is_legal_or_refused(status: Status, name: str, attempt: int) -> None:
    before = task_in(status, attempt)
    try:
        after, entered = fold(before, event(facts(before.attempt)[name]))
    except RefusedError as refusal:
        code: str = refusal.code
        assert code.isidentifier()
        return
    assert after is not None
    assert len(entered) <= 1
    assert set(entered) <= LEGAL[status]
    assert after.version == before.version + len(entered)
    assert after.status == (entered[0] if entered else status)
    assert (after.finished_at is None) == (after.status not in FINAL)
    assert after.attempt - before.attempt == (1 if entered == ["ready"] else 0)
    assert after.attempt <= MAX_ATTEMPTS + after.course.granted
    assert (after.due_at is not None) == (entered in (["waiting"], ["running"]))


# What the machine is for, said once and plainly; the rest of the table only has to be legal.
STEPS: list[tuple[Status, str, Status]] = [
    ("submitted", "checked allow", "ready"),
    ("submitted", "checked redact", "ready"),
    ("submitted", "checked block", "blocked"),
    ("ready", "decided", "assigned"),
    ("ready", "unroutable", "ready"),
    ("ready", "control time_out", "failed"),
    ("assigned", "started", "running"),
    ("running", "progress", "running"),
    ("running", "finished succeeded", "succeeded"),
    ("running", "finished partial", "partial"),
    ("running", "finished failed", "failed"),
    ("running", "finished retryable", "waiting"),
    ("running", "finished lost", "ready"),
    ("running", "finished timed_out", "timed_out"),
    ("running", "finished cancelled", "cancelled"),
    ("running", "control time_out", "timed_out"),
    ("waiting", "control retry", "ready"),
    ("failed", "control retry", "ready"),
    ("timed_out", "control retry", "ready"),
    ("submitted", "unchecked", "waiting"),
    ("running", "control pause", "paused"),
    ("paused", "control resume", "ready"),
    *[(status, "control complete", "succeeded") for status in ("waiting", "ready", "assigned", "running", "paused")],
    *[(status, "control cancel", "cancelled") for status in STATUSES if status not in FINAL],
    *[(status, "control fail", "failed") for status in STATUSES if status not in FINAL],
]


@pytest.mark.parametrize(("status", "name", "expected"), STEPS)
def test_the_machine_moves_on(status: Status, name: str, expected: Status) -> None:
    before = task_in(status)
    after, _ = fold(before, event(facts(before.attempt)[name]))
    assert after is not None
    assert after.status == expected


REFUSALS = [
    (status, name, code)
    for status in sorted(FINAL)
    for name, code in [
        ("control cancel", "task_final"),
        ("control fail", "task_final"),
        ("control complete", "task_final"),
        ("control pause", "task_final"),
        ("control start", "task_final"),
        ("finished succeeded", "not_running"),
        ("checked block", "already_checked"),
        ("decided", "stale_route"),
        ("submitted", "task_exists"),
    ]
    if not (status == "blocked" and name.startswith("finished"))  # it has no run to be late
]


@pytest.mark.parametrize(("status", "name", "code"), REFUSALS)
def test_what_comes_after_the_end_is_refused_and_says_why(status: Status, name: str, code: str) -> None:
    before = task_in(status)
    with pytest.raises(RefusedError) as caught:
        fold(before, event(facts(before.attempt)[name]))
    assert caught.value.code == code


@pytest.mark.parametrize("name", ["progress", "tool", "finished succeeded", "finished lost"])
def test_a_second_execution_of_an_attempt_is_refused(name: str) -> None:
    with pytest.raises(RefusedError, match="other_execution"):
        fold(task_in("running"), event(facts(execution=OTHER)[name]))


@pytest.mark.parametrize("name", ["started", "progress", "finished succeeded"])
@pytest.mark.parametrize(("attempt", "agent"), [(2, "extractive"), (1, "impostor")])
def test_a_run_of_another_attempt_or_agent_is_refused(name: str, attempt: int, agent: str) -> None:
    for status in ("assigned", "running"):
        with pytest.raises(RefusedError, match="stale_run"):
            fold(task_in(status), event(facts(attempt, agent=agent)[name]))


@pytest.mark.parametrize("name", sorted(set(facts()) - {"submitted"}))
def test_nobody_touches_an_unknown_or_a_foreign_task(name: str) -> None:
    with pytest.raises(RefusedError, match="unknown_task"):
        fold(None, event(facts()[name]))
    with pytest.raises(RefusedError, match="foreign_tenant"):
        fold(task_in("running"), event(facts()[name], tenant="another"))


@pytest.mark.parametrize("end", ["control fail", "control time_out"])
def test_a_task_that_was_never_checked_is_checked_when_it_is_retried(end: str) -> None:
    task, _ = fold(None, event(facts()["submitted"]))
    task, _ = fold(task, event(facts()[end]))
    task, entered = fold(task, event(facts()["control retry"]))
    assert task is not None
    assert (entered, task.reason, task.due_at) == (["waiting"], "verdict", AT + timedelta(seconds=60))
    with pytest.raises(RefusedError, match="stale_route"):
        fold(task, event(facts()["decided"]))
    assert fold(task, event(facts()["checked allow"]))[1] == ["ready"]
    assert fold(task, event(facts()["checked block"]))[1] == ["blocked"]


def test_a_retry_waits_two_then_ten_seconds_and_the_third_failure_is_final() -> None:
    for attempt, seconds in ((1, 2), (2, 10)):
        after, _ = fold(task_in("running", attempt), event(facts(attempt)["finished retryable"]))
        assert after is not None
        assert after.due_at == AT + timedelta(seconds=seconds)
        assert (after.run_id, after.execution_id, after.agent_id) == (None, None, None)
    after, _ = fold(task_in("running", 3), event(facts(3)["finished retryable"]))
    assert after is not None
    assert after.status == "failed"


def test_an_old_retry_does_not_open_a_further_attempt() -> None:
    control = TaskControl(task_id=TASK, action="retry", by="/janitor", attempt=1)
    with pytest.raises(RefusedError, match="stale_retry"):
        fold(task_in("waiting", 2), event(control))


USUAL = [(name, 1, True) for name in ("submitted", "checked allow", "decided", "started", "finished retryable")]
RANDOM = st.lists(st.tuples(st.sampled_from(sorted(facts())), st.integers(0, 4), st.booleans()), max_size=40)


@given(st.integers(0, len(USUAL)), RANDOM)
def test_no_history_breaks_the_machine(usual: int, random: list[tuple[str, int, bool]]) -> None:
    history = USUAL[:usual] + random

    def play() -> tuple[TaskState | None, list[tuple[str, object]]]:
        task: TaskState | None = None
        told: list[tuple[str, object]] = []
        checked = False
        for number, (name, attempt, same) in enumerate(history):
            cause = event(facts(attempt, EXECUTION if same else OTHER)[name], number)
            before = task
            try:
                task, entered = fold(task, cause, AT + timedelta(seconds=number))
            except RefusedError as refusal:
                told.append((name, refusal.code))
                assert task is before
                continue
            told.append((name, tuple(entered)))
            assert task is not None
            assert task.version == (before.version if before else 1) + len(entered)
            if before is not None:
                assert set(entered) <= LEGAL[before.status]
                if before.status in FINAL and entered:
                    assert name in ("control retry", "control replay")
            checked = checked or name in ("checked allow", "checked redact")
            assert checked or task.status not in ("ready", "assigned", "running")
            assert task.attempt <= MAX_ATTEMPTS + task.course.granted
            assert (task.finished_at is not None) == (task.status in FINAL)
        return task, told

    assert play() == play()


def test_each_state_has_one_event_and_it_says_so() -> None:
    assert set(STATE_EVENTS) == set(STATUSES) - {"submitted"}
    assert all(payload.event_name == status == payload.status for status, payload in STATE_EVENTS.items())
