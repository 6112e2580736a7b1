"""Agents as clients see them: who is available, and how a record is read (requirements 002.2, 002.3)."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from events.route import Candidate, RouteAnswer
from gateway.agents.errors import AgentUnavailableError
from gateway.agents.reading import _answer_view
from gateway.agents.views import agent_view, performance_view, statistics_view
from storage.agents import AgentRow, Figures

NOW = datetime(2026, 1, 1, tzinfo=UTC)
IDLE = AgentRow(
    tenant="acme",
    agent_id="AGENT-A",
    owner="alice",
    name="AGENT-A",
    agent_type="implementer",
    capabilities={"sum": 1.0},
    technologies=(),
    capacity=2,
    outside=True,
    agent_version=None,
    metadata={},
    status="active",
    reason="registered",
    version=1,
    registered_at=NOW,
    heartbeat_at=NOW,
    reported=None,
    updated_at=NOW,
    tier="competent",
    quality=0.75,
    load_level="idle",
    breaker="closed",
    available=True,
    endpoint_url=None,
    notes=None,
    hands_full=0,
)
NEVER = Figures(0, 0, 0, 0, 0, None, 0, 0.0, None)


def test_the_numbers_count_as_available_whom_the_list_shows_as_available() -> None:
    full, broken = replace(IDLE, hands_full=2), replace(IDLE, available=False)
    rows = [IDLE, full, broken, replace(IDLE, status="draining", hands_full=1)]
    assert [agent_view(row)["is_available"] for row in rows] == [True, False, False, False]
    numbers = statistics_view(rows)
    assert (numbers["total"], numbers["available"], numbers["capacity"], numbers["current_tasks"]) == (4, 1, 8, 3)
    assert numbers["by_status"] == {"active": 3, "draining": 1}


@pytest.mark.parametrize(
    ("succeeded", "partial", "failed", "rate", "trend"),
    [
        (0, 0, 0, None, "insufficient_data"),
        (9, 0, 0, 1.0, "insufficient_data"),
        (9, 0, 1, 0.9, "improving"),
        (89, 0, 11, 0.89, "stable"),
        (6, 2, 2, 0.7, "stable"),
        (69, 0, 31, 0.69, "declining"),
    ],
)
def test_a_record_counts_a_partial_run_half_and_a_cancelled_one_not_at_all(
    succeeded: int, partial: int, failed: int, rate: float | None, trend: str
) -> None:
    judged = succeeded + partial + failed
    figures = replace(NEVER, runs=judged + 3, succeeded=succeeded, partial=partial, failed=failed, cancelled=3)
    record = performance_view(IDLE, figures)
    assert (record["success_rate"], record["trend"], record["total_tasks"]) == (rate, trend, judged + 3)


def test_a_dry_run_names_the_best_and_three_alternatives_at_most() -> None:
    """Requirements 002.2."""
    judged = [Candidate(agent_id=f"AGENT-{n}", score=0.9 - n / 10) for n in range(6)]
    full = Candidate(agent_id="AGENT-F", score=0.95, excluded="busy 1/1")
    answer = RouteAnswer(agent_id="AGENT-0", needs=("sum",), candidates=(*judged, full))
    shown = _answer_view(answer)
    assert (shown["selected_agent"], shown["routing_score"]) == ("AGENT-0", 0.9)
    alternatives = [other["agent_id"] for other in shown["alternatives"]]  # type: ignore[attr-defined]  # a list
    assert alternatives == ["AGENT-1", "AGENT-2", "AGENT-3"]
    with pytest.raises(AgentUnavailableError):
        _answer_view(RouteAnswer(agent_id=None, needs=("sum",), candidates=(full,)))
