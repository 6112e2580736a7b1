"""A session as its document has it: the status is its task's in other words, the health by the clock (002.3, O.3)."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.sessions.view import STANDINGS, session_payload
from storage.sessions import SessionRow

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KNOWN: dict[str, object] = {
    "id": "s",
    "tenant": "acme",
    "owner": "alice",
    "kind": "work",
    "status": "open",
    "title": "Fix-It",
    "tags": [],
    "metadata": {},
    "created_at": NOW,
    "updated_at": NOW,
    "last_seq": 0,
    "version": 1,
    "task_status": "submitted",
    "log_epoch": "e",
    "log_position": 7,
    "max_duration_seconds": 1_000,
}
ROW = SessionRow(**{field.name: KNOWN.get(field.name) for field in fields(SessionRow)})  # type: ignore[arg-type]  # its fields
BEGUN = NOW - timedelta(seconds=1)


@pytest.mark.parametrize(
    ("task_status", "started", "reason", "status", "health"),
    [
        ("submitted", None, None, "pending", 0.8),
        ("waiting", None, "hold", "pending", 0.8),
        ("ready", None, None, "queued", 0.8),
        ("assigned", None, None, "queued", 0.8),
        ("running", BEGUN, None, "running", 0.9),
        ("paused", BEGUN, "paused_by_owner", "paused", 0.8),
        ("succeeded", BEGUN, None, "completed", 1.0),
        ("partial", BEGUN, None, "partially_completed", 0.8),
        ("failed", BEGUN, "tool_broke", "failed", 0.0),
        ("blocked", None, "blocked_by_policy", "failed", 0.0),
        ("failed", BEGUN, "run_lost", "orphaned", 0.0),
        ("timed_out", BEGUN, "time_budget", "timeout", 0.0),
        ("cancelled", None, "cancelled_by_owner", "cancelled", 0.8),
        ("cancelled", BEGUN, "cancelled_by_owner", "stopped", 0.8),
        ("skipped", None, "dependency_failed", "cancelled", 0.8),
        ("skipped", BEGUN, "dependency_failed", "stopped", 0.8),
    ],
)
def test_the_status_is_the_tasks_in_the_documents_words_and_so_is_the_list_that_it_is_found_in(
    task_status: str, started: datetime | None, reason: str | None, status: str, health: float
) -> None:
    row = replace(ROW, task_status=task_status, task_reason=reason, started_at=started)
    shown = session_payload(row, NOW)
    assert (shown["status"], shown["health_score"], shown["degraded"]) == (status, health, health < 0.5)
    asks = STANDINGS[status]
    assert task_status in asks.statuses
    assert asks.begun in {None, started is not None}
    assert asks.lost in {None, status == "orphaned"}


@pytest.mark.parametrize(
    ("seconds", "health"), [(0, 0.9), (700, 0.9), (701, 0.7), (900, 0.7), (901, 0.3), (5_000, 0.3)]
)
def test_the_nearer_it_runs_to_the_end_of_its_time_the_less_healthy_it_is(seconds: int, health: float) -> None:
    row = replace(ROW, task_status="running", started_at=NOW - timedelta(seconds=seconds))
    shown = session_payload(row, NOW)
    assert (shown["health_score"], shown["degraded"]) == (health, health < 0.5)
