"""Whether an agent had begun on a task that is called off: what tells `stopped` from `cancelled` (requirements O.3)."""

import pytest

from events import TaskCancelled
from tests.unit.consumers.test_task_course import Book


@pytest.fixture
def book() -> Book:
    return Book()


def test_who_is_cancelled_between_two_attempts_has_begun(book: Book) -> None:
    before, between, ready, declined = (book.submit() for _ in range(4))
    book.check(before)
    for task in (between, ready):
        book.start(task)
    retryable = {"code": "tool_broke", "message": "It broke.", "retryable": True}
    book.finish(between, "failed", error=retryable)
    book.finish(ready, "lost")
    book.check(declined)
    book.assign(declined)
    book.finish(declined, "lost", error={"code": "declined", "message": "I leave.", "retryable": True})
    tasks = (before, between, ready, declined)
    assert [book.status(task) for task in tasks] == ["ready", "waiting", "ready", "ready"]
    for task in tasks:
        assert book.command(task, "cancel") == "applied"
    said = {one.data.task_id: one.data.begun for one in book.announced if isinstance(one.data, TaskCancelled)}
    assert [said[task] for task in tasks] == [None, True, True, None]
