"""An assignment that is given back before it began."""

import pytest

from events import RunStarted
from tests.unit.consumers.test_task_course import Book


@pytest.fixture
def book() -> Book:
    return Book()


def test_an_assignment_that_has_not_begun_is_given_back_and_costs_no_attempt(book: Book) -> None:
    task = book.submit()
    book.check(task)
    for attempt in range(1, 5):
        book.assign(task)
        assert book.command(task, "reassign", attempt=attempt + 1) == "refused:already_started"
        assert book.command(task, "reassign", attempt=attempt) == "applied"
        assert (book.status(task), book.task(task).attempt, book.task(task).reason) == (
            *("ready", attempt + 1, "reassigned"),
        )
        assert book.state_fact(task, RunStarted, attempt) == "refused:stale_run"
    book.start_ready(task)
    assert book.command(task, "reassign") == "refused:already_started"
    assert book.finish(task, "failed", error={"code": "x", "message": "x", "retryable": True}) == "applied"
    assert (book.status(task), book.task(task).reason) == ("waiting", "retry")  # its attempts are not used up
