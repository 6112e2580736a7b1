"""A turn has thirty seconds from its run's start: one number, for the one who stops the run and the one who waits."""

from uuid import uuid4

import pytest

from consumers import _execution
from consumers._execution import seconds_for
from events import trace
from events.task import TURN_SECONDS, Budget, Kind, TaskSpec, TaskSubmitted
from gateway.auth.bearer import Principal
from gateway.chat import waiting
from gateway.chat.models import ChatRequest
from gateway.chat.turn import make_turn
from gateway.trail import Trail
from storage.lookup import TaskView


def view(kind: Kind, spec: TaskSpec | None = None, **budget: int) -> TaskView:
    spec = spec or TaskSpec(kind=kind, prompt="Hello.", budget=Budget(**budget))
    return TaskView(uuid4(), "t", "o", "s", "assigned", 1, "llm", uuid4(), None, spec, {})


def test_the_runner_stops_a_turn_after_thirty_seconds_whatever_its_budget() -> None:
    assert TURN_SECONDS == 30
    assert seconds_for(view("turn", max_time_seconds=3_600)) == TURN_SECONDS
    assert seconds_for(view("turn", max_time_seconds=5)) == 5
    assert seconds_for(view("goal", max_time_seconds=3_600)) == 3_600


def test_the_gateway_asks_for_as_long_and_waits_a_little_longer() -> None:
    asked = ChatRequest(message="Hello.")
    data = make_turn(Principal("t", "o", frozenset(), 0.0), asked, None, Trail("r", trace.start())).event.data
    assert isinstance(data, TaskSubmitted)
    assert data.spec.budget.max_time_seconds == TURN_SECONDS
    assert seconds_for(view("turn", data.spec)) == TURN_SECONDS
    assert TURN_SECONDS < waiting.RUNNING < waiting.AT_MOST


def test_the_tests_that_shorten_it_shorten_what_the_runner_goes_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_execution, "TURN_SECONDS", 0.4)
    assert seconds_for(view("turn", max_time_seconds=30)) == 0.4
