"""What a tenant uses, in the keeper's fold: sessions at work, tokens of the month, and what a quota refuses."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import pytest

from consumers.keeper.session_state import SessionState
from consumers.keeper.state import SpecState
from consumers.keeper.usage import TenantUsage, month_of
from consumers.keeper.world import Key
from events import Event, EventData, SessionSpec, TaskControl, TaskSpec, TaskSubmitted
from events.ids import derived_text, new_id
from storage.models import tenant_usage
from storage.unnest import columns_of
from tests.unit.consumers.test_task_course import Book

FAILED = {"code": "tool_broke", "message": "It broke.", "retryable": False}


@dataclass
class Office(Book):
    """Sessions of one tenant, whose requests carry a quota."""

    sessions: int | None = None
    tokens: int | None = None

    def open(self, *, hold: bool = False) -> UUID:
        task = new_id()
        spec = TaskSpec(prompt="x", hold=hold)
        self.states[Key(SpecState, task)] = SpecState(task, spec)
        data = TaskSubmitted(task_id=task, spec=spec, session=SessionSpec(title="Fix-It"))
        self.fold(self.stamped(data, task))
        return task

    def stamped(self, data: EventData, task: UUID, session: str | None = None) -> Event[EventData]:
        """As the gateway sends it."""
        named = session or derived_text(task, "session")
        event = Event.first(data, source="/gateway", tenant="t", owner="o", task_id=task, session_id=named)
        return event.model_copy(update={"quotasessions": self.sessions, "quotatokens": self.tokens})

    def ask(self, task: UUID, action: str, **more: object) -> str:
        control = TaskControl.model_validate({"task_id": task, "action": action, "by": "o", **more})
        return self.fold(self.stamped(control, task))

    @property
    def used(self) -> TenantUsage:
        return self.get(TenantUsage, "t")

    def reason(self, task: UUID) -> str | None:
        return self.task(task).reason


@pytest.fixture
def office() -> Office:
    return Office()


def test_a_session_counts_from_its_begin_to_its_end(office: Office) -> None:
    office.sessions = 100
    counts = []
    task = office.open(hold=True)
    assert Key(TenantUsage, "t") not in office.states
    office.ask(task, "start")
    counts.append(office.used.sessions)
    office.start(task)
    office.ask(task, "pause")
    counts.append(office.used.sessions)
    office.ask(task, "resume")
    office.start_ready(task)
    office.finish(task, "failed", error=FAILED)
    counts.append(office.used.sessions)
    office.ask(task, "retry")
    counts.append(office.used.sessions)
    office.ask(task, "cancel")
    counts.append(office.used.sessions)
    assert counts == [1, 1, 0, 1, 0]
    office.done(office.open())
    office.ask(office.open(), "complete")
    assert office.used.sessions == 1  # the last one was not screened yet, and so not completed


def test_only_the_task_that_opened_a_session_counts(office: Office) -> None:
    first = office.open()
    session = derived_text(first, "session")
    for kind in ("goal", "subtask"):
        task = new_id()
        data = TaskSubmitted(task_id=task, spec=TaskSpec.model_validate({"kind": kind, "prompt": "x"}))
        office.fold(office.stamped(data, task, session))
    office.submit()
    assert office.used.sessions == 1


def test_one_session_more_than_allowed_is_none(office: Office) -> None:
    office.sessions = 2
    first, second, third = (office.open() for _ in range(3))
    assert [office.status(task) for task in (first, second, third)] == ["submitted", "submitted", "failed"]
    assert office.reason(third) == "quota_exceeded"
    assert Key(SessionState, derived_text(third, "session")) not in office.states
    assert office.command(third, "retry") == "refused:was_refused"
    held = office.open(hold=True)
    office.check(held)
    assert office.ask(held, "start") == "refused:quota_exceeded"
    assert (office.status(held), office.used.sessions) == ("waiting", 2)
    office.ask(first, "cancel")
    assert (office.ask(held, "start"), office.used.sessions) == ("applied", 2)
    assert office.ask(held, "start") == "refused:not_held"


def test_who_tries_again_needs_room_and_who_goes_on_has_it(office: Office) -> None:
    office.sessions = 1
    failed = office.open()
    office.start(failed)
    office.finish(failed, "failed", error=FAILED)
    other = office.open()
    office.start(other)
    assert office.ask(failed, "retry") == "refused:quota_exceeded"
    office.ask(other, "pause")
    assert office.ask(other, "resume") == "applied"
    office.ask(other, "cancel")
    assert office.ask(failed, "retry") == "applied"


def test_beyond_the_tokens_of_the_month_nothing_begins_until_the_next(office: Office) -> None:
    office.tokens = 1_000
    running, held = office.open(), office.open(hold=True)
    office.start(running)
    office.check(held)
    office.finish(running, usage={"tokens": 1_000})
    assert (office.used.tokens, office.used.month) == (1_000, month_of(office.at))
    assert office.reason(office.open()) == "quota_exceeded"
    assert office.ask(held, "start") == "refused:quota_exceeded"
    office.at = datetime(2026, 2, 1, tzinfo=UTC)
    assert office.ask(held, "start") == "applied"
    office.start_ready(held)
    office.finish(held, usage={"tokens": 7})
    assert (office.used.tokens, office.used.month) == (7, "2026-02")


def test_without_a_quota_nothing_is_refused_and_all_is_counted(office: Office) -> None:
    for _ in range(3):
        office.start(task := office.open())
        office.finish(task, "partial", usage={"tokens": 10_000})
    office.open()
    assert (office.used.sessions, office.used.tokens) == (1, 30_000)


def test_a_quota_of_nothing_lets_nothing_begin(office: Office) -> None:
    office.sessions = 0
    assert office.reason(office.open()) == "quota_exceeded"


def test_the_columns_and_the_fields_are_the_same() -> None:
    assert columns_of(tenant_usage) == TenantUsage._fields
