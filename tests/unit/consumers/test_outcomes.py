"""What the end of an attempt says of its agent."""

import pytest

from consumers.router.heard import ops_of, outcome_of
from events import Event, TaskFailed, TaskReady
from events.ids import new_id, run_id
from events.run import RunFinished
from events.task import TaskError
from tests.unit.consumers.test_task_course import Book

TASK = new_id()
ENTERED: dict[str, object] = {"task_id": TASK, "kind": "goal", "from_status": "running", "version": 3}


@pytest.mark.parametrize(
    ("reason", "outcome"), [("run_lost", "f"), ("declined", "f"), ("caller_lost", ""), ("reassigned", "")]
)
def test_an_attempt_that_its_agent_cannot_help_says_nothing_of_it(reason: str, outcome: str) -> None:
    again = TaskReady.model_validate({**ENTERED, "attempt": 2, "reason": reason})
    ready = Event.first(again, source="/keeper", tenant="t", owner="o", task_id=TASK)
    assert ops_of(ready) == [["release", f"{TASK}:1", outcome, ready.id]]


@pytest.mark.parametrize(("reason", "outcome"), [("run_lost", "f"), ("agent_error", "f"), ("caller_lost", "")])
def test_nor_does_the_last_one(reason: str, outcome: str) -> None:
    error = TaskError(code=reason, message="x")
    failed = {**ENTERED, "attempt": 3, "reason": reason, "error": error, "run_id": run_id(TASK, 3)}
    assert outcome_of(TaskFailed.model_validate(failed)) == outcome


def test_whose_caller_is_lost_has_three_attempts_all_the_same() -> None:
    book = Book()
    task = book.submit()
    book.start(task)
    lost = TaskError(code="caller_lost", message="x", retryable=True)
    for attempt in range(1, 4):
        assert book.state_fact(task, RunFinished, attempt, outcome="lost", error=lost) == "applied"
        if attempt < 3:
            assert (book.status(task), book.task(task).reason) == ("ready", "caller_lost")
            book.start_ready(task)
    assert (book.status(task), book.task(task).reason) == ("failed", "caller_lost")
