"""The second document's words for what happens (requirements 002.2, O.3), the same as GET has them."""

from datetime import UTC, datetime
from typing import get_args
from uuid import UUID, uuid4

import pytest

from events.base import Event, EventData
from events.codec import encode
from events.cursor import Cursor
from events.estimate import Estimate
from events.ids import derived_id
from events.plan import TaskDecomposed
from events.session import SessionCheckpointed
from events.task import STATE_EVENTS, Status
from gateway.compat.words import TASK_STATUS, translated
from gateway.live.frames import make_frame, read_envelope
from gateway.live.rooms import Room

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def told(kind: str, came_from: Status, status: Status, **data: object) -> list[tuple[str, dict[str, object]]]:
    """What who follows a room of this kind hears when the task enters a status."""
    task_id = uuid4()
    payload = STATE_EVENTS[status].model_validate(
        {"task_id": task_id, "kind": "goal", "from_status": came_from, "version": 2, "attempt": 1, **data}
    )
    return heard(kind, payload, task_id)


def heard(kind: str, payload: EventData, task_id: UUID) -> list[tuple[str, dict[str, object]]]:
    """What who follows a room of this kind hears of an event about the task."""
    session = str(derived_id(task_id, "session"))
    event: Event[EventData] = Event.first(
        payload, source="/consumers/keeper", tenant="acme", owner="alice", task_id=task_id, session_id=session
    )
    envelope = read_envelope(encode(event))
    assert envelope is not None
    frame = make_frame(envelope, Cursor("e", 7), NOW)
    room = Room("task", "acme", "alice", str(task_id)) if kind == "task" else Room("sessions", "acme", "alice")
    return [(str(one["type"]), one["payload"]) for one in translated(room, frame)]  # type: ignore[misc]  # an object


@pytest.mark.parametrize("reason", ["run_lost", "lost"])
def test_a_session_whose_agent_was_lost_is_orphaned_as_its_get_says(reason: str) -> None:
    error = {"code": reason, "message": "The agent was not heard of any more."}
    changed, failed = told("sessions", "running", "failed", reason=reason, error=error)
    assert (changed[0], changed[1]["old_status"], changed[1]["new_status"]) == (
        *("session.status_changed", "running", "orphaned"),
    )
    assert (failed[0], failed[1]["status"], failed[1]["error"]) == (
        "session.failed",
        "orphaned",
        {**error, "retryable": False},
    )


@pytest.mark.parametrize("status", ["cancelled", "skipped"])
@pytest.mark.parametrize("came_from", ["waiting", "ready", "assigned"])
def test_a_session_that_was_cancelled_after_its_start_is_stopped_as_its_get_says(
    came_from: Status, status: Status
) -> None:
    """Between two attempts nobody is at work on it, and yet it has been started (requirements O.3)."""
    ((_, before),) = told("sessions", came_from, status)
    ((_, after),) = told("sessions", came_from, status, begun=True)
    assert (before["new_status"], after["new_status"]) == ("cancelled", "stopped")


def test_a_session_that_was_cancelled_at_work_is_stopped() -> None:
    ((_, changed),) = told("sessions", "running", "cancelled")
    assert (changed["old_status"], changed["new_status"]) == ("running", "stopped")


@pytest.mark.parametrize("reason", [None, "retry", "resumed"])
def test_of_dependencies_hears_only_who_follows_a_task_that_waited_for_some(reason: str | None) -> None:
    assert [kind for kind, _ in told("task", "waiting", "ready", reason=reason)] == ["task.status_changed"]
    met = told("task", "waiting", "ready", reason="dependencies_met")
    assert [kind for kind, _ in met] == ["task.dependency_satisfied", "task.status_changed"]


def test_who_follows_a_task_hears_its_plan() -> None:
    task_id = uuid4()
    hours = Estimate(optimistic=1, likely=2, pessimistic=3, confidence=0.5)
    plan = TaskDecomposed(task_id=task_id, plan_id=uuid4(), estimate=hours, children=(), total_hours=2.0)
    ((kind, said),) = heard("task", plan, task_id)
    assert (kind, said["task_id"], said["total_hours"]) == ("task.decomposed", str(task_id), 2.0)


def test_who_follows_sessions_hears_of_a_checkpoint_once_it_is_kept() -> None:
    task_id = uuid4()
    session = str(derived_id(task_id, "session"))
    kept = SessionCheckpointed(session_id=session, task_id=task_id, seq=7, attempt=2, note="half way")
    ((kind, said),) = heard("sessions", kept, task_id)
    assert (kind, said["session_id"], said["seq"], said["note"]) == (
        *("session.checkpoint_created", session),
        *(7, "half way"),
    )


def test_every_state_of_a_task_has_the_second_documents_word() -> None:
    """Requirements O.3."""
    same = {"ready", "assigned", "paused", "failed", "cancelled", "skipped"}
    others = {"submitted": "pending", "waiting": "blocked", "running": "in_progress", "succeeded": "completed"}
    ends = {"partial": "completed", "timed_out": "failed", "blocked": "failed"}
    assert {**dict(zip(same, same, strict=True)), **others, **ends} == TASK_STATUS
    assert TASK_STATUS.keys() == set(get_args(Status))
