"""Checkpoints in the keeper's fold: numbered, a hundred kept, given to the next attempt, gone back to by the owner."""

from dataclasses import dataclass, field
from uuid import UUID

import pytest
from pydantic_core import from_json

from consumers.keeper.checkpoint import KEPT, CheckpointLine, CheckpointState, line_id
from consumers.keeper.fold import Fold
from consumers.keeper.state import SpecState
from consumers.keeper.world import Key
from events import Event, RunProgress, SessionCheckpointed, SessionSpec, TaskControl, TaskSpec, TaskSubmitted
from events.ids import derived_text, new_id
from storage.models import checkpoint, checkpoint_line
from storage.unnest import Row, columns_of
from tests.unit.consumers.test_task_course import Book

RETRYABLE = {"code": "tool_broke", "message": "It broke.", "retryable": True}


@dataclass
class Sessions(Book):
    """Sessions with one task each."""

    next: dict[object, Row] = field(default_factory=dict)

    def _keep(self, fold: Fold) -> str:
        self.next |= {row[0]: row for row in fold.world.rows().get("begun_with", ())}
        return super()._keep(fold)

    def open(self) -> UUID:
        """A session's task that runs."""
        task = new_id()
        spec = TaskSpec(prompt="x")
        data = TaskSubmitted(task_id=task, spec=spec, session=SessionSpec(title="Fix-It"))
        self.states[Key(SpecState, task)] = SpecState(task, spec)
        assert self.fold(self.event(data, task)) == "applied"
        self.start(task)
        return task

    @staticmethod
    def event(data: TaskSubmitted | TaskControl, task: UUID) -> Event:  # type: ignore[type-arg]  # of either
        session = derived_text(task, "session")
        return Event.first(data, source="/gateway", tenant="t", owner="o", task_id=task, session_id=session)

    def mark(self, task: UUID, number: int, attempt: int | None = None, note: str | None = None) -> str:
        """The agent says how far it is."""
        said = {"seq": number, "note": note, "checkpoint": {"step": number}}
        return self.state_fact(task, RunProgress, attempt, **said)

    def given(self, task: UUID) -> tuple[int, object] | None:
        """Number and data of what the next attempt begins with."""
        row = self.next.get(task)
        return None if row is None else (int(str(row[1])), from_json(str(row[3])))

    def kept(self, task: UUID) -> list[int]:
        """The numbers that are kept of the session."""
        line = line_id(derived_text(task, "session"), task)
        states = (state for state in self.states.values() if isinstance(state, CheckpointState))
        return sorted(state.seq for state in states if state.line_id == line)


@pytest.fixture
def book() -> Sessions:
    return Sessions()


def test_what_a_run_says_is_numbered_kept_and_announced(book: Sessions) -> None:
    task = book.open()
    assert [book.mark(task, 1), book.mark(task, 2, note="half way")] == ["applied", "applied"]
    assert (book.kept(task), book.given(task)) == ([1, 2], (2, {"step": 2}))
    said = [one.data for one in book.announced if isinstance(one.data, SessionCheckpointed)]
    assert [(one.seq, one.note, one.attempt, one.agent_id) for one in said] == [
        (1, None, 1, "extractive"),
        (2, "half way", 1, "extractive"),
    ]


def test_a_hundred_are_kept_and_the_numbers_go_on(book: Sessions) -> None:
    task, other = book.open(), book.open()
    book.mark(other, 1)
    for number in range(1, KEPT + 6):
        assert book.mark(task, number) == "applied"
    assert book.kept(task) == list(range(6, KEPT + 6))
    assert book.kept(other) == [1]
    book.finish(task, "failed", error={**RETRYABLE, "retryable": False})
    assert book.command(task, "restore", checkpoint_seq=5) == "refused:unknown_checkpoint"
    assert book.command(task, "restore", checkpoint_seq=KEPT + 6) == "refused:unknown_checkpoint"
    assert book.command(task, "restore", checkpoint_seq=6) == "applied"
    assert book.given(task) == (6, {"step": 6})


def test_only_the_run_that_counts_keeps_any(book: Sessions) -> None:
    task = book.open()
    book.mark(task, 1)
    book.finish(task, "lost")
    book.start_ready(task)
    assert book.mark(task, 2, attempt=1) == "refused:stale_run"
    assert (book.kept(task), book.given(task)) == ([1], (1, {"step": 1}))
    assert book.mark(task, 2) == "applied"
    book.finish(task)
    assert book.mark(task, 3) == "refused:not_running"


@pytest.mark.parametrize("end", ["failed", "timed_out"])
def test_who_goes_back_opens_a_new_attempt_with_it(book: Sessions, end: str) -> None:
    task = book.open()
    for number in (1, 2):
        book.mark(task, number)
    book.finish(task, end, error={**RETRYABLE, "retryable": False})
    assert book.command(task, "restore", checkpoint_seq=1) == "applied"
    assert (book.status(task), book.task(task).attempt, book.given(task)) == ("ready", 2, (1, {"step": 1}))
    book.start_ready(task)
    assert book.mark(task, 3) == "applied"
    assert (book.kept(task), book.given(task)) == ([1, 2, 3], (3, {"step": 3}))


def test_a_paused_task_goes_on_from_its_last_checkpoint_or_from_the_one_that_is_named(book: Sessions) -> None:
    last, named = book.open(), book.open()
    for task in (last, named):
        book.mark(task, 1)
        book.mark(task, 2)
        book.command(task, "pause")
    assert [book.command(last, "resume"), book.command(named, "restore", checkpoint_seq=1)] == ["applied"] * 2
    assert [book.status(task) for task in (last, named)] == ["ready", "ready"]
    assert [book.given(task) for task in (last, named)] == [(2, {"step": 2}), (1, {"step": 1})]


@pytest.mark.parametrize("action", ["complete", "cancel"])
def test_what_has_ended_for_good_is_not_gone_back_to(book: Sessions, action: str) -> None:
    """Requirements O.3: nothing leaves `cancelled`, although 002.2 counts a stopped session as recoverable."""
    task = book.open()
    book.mark(task, 1)
    book.command(task, action)
    assert book.command(task, "restore", checkpoint_seq=1) == "refused:not_retryable"
    assert book.command(task, "checkpoint", checkpoint={"step": 2}) == "refused:task_final"


def test_nobody_goes_back_to_what_is_anothers(book: Sessions) -> None:
    task, other = book.open(), book.open()
    book.mark(other, 1)
    book.finish(task, "failed", error={**RETRYABLE, "retryable": False})
    assert book.command(task, "restore", checkpoint_seq=1) == "refused:unknown_checkpoint"
    assert book.given(task) is None


def test_attempts_are_not_endless(book: Sessions) -> None:
    task = book.open()
    book.mark(task, 1)
    for attempt in (2, 3):
        book.finish(task, "failed", error={**RETRYABLE, "retryable": False})
        assert book.command(task, "restore", checkpoint_seq=1) == "applied"
        assert book.task(task).attempt == attempt
        book.start_ready(task)
    book.finish(task, "failed", error={**RETRYABLE, "retryable": False})
    assert book.command(task, "restore", checkpoint_seq=1) == "refused:attempts_used_up"


def test_its_owner_keeps_one_too_once_it_has_begun(book: Sessions) -> None:
    task = book.open()
    control = TaskControl(task_id=task, action="checkpoint", by="o", checkpoint={"step": 9}, reason="by hand")
    assert book.fold(book.event(control, task)) == "applied"
    assert (book.status(task), book.given(task)) == ("running", (1, {"step": 9}))
    waiting = book.submit(hold=True)
    book.check(waiting)
    assert book.command(waiting, "checkpoint", checkpoint={"step": 1}) == "refused:not_begun"


def test_a_task_without_a_session_goes_on_from_its_last_one_too(book: Sessions) -> None:
    task = book.submit()
    book.start(task)
    assert book.mark(task, 1) == "applied"
    book.finish(task, "lost")
    assert (book.status(task), book.given(task)) == ("ready", (1, {"step": 1}))
    assert not [one for one in book.announced if isinstance(one.data, SessionCheckpointed)]


def test_the_columns_and_the_fields_are_the_same() -> None:
    assert columns_of(checkpoint) == CheckpointState._fields
    assert columns_of(checkpoint_line) == CheckpointLine._fields
