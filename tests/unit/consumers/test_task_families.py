"""Children that would be tried again: nothing begins below a parent that has ended."""

from datetime import timedelta

import pytest

from tests.unit.consumers.test_task_course import Book


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.mark.parametrize("command", ["retry", "replay"])
@pytest.mark.parametrize("end", ["cancel", "complete", "fail", "time_out"])
def test_no_child_is_opened_again_once_its_parent_has_ended(book: Book, end: str, command: str) -> None:
    parent = book.submit()
    book.start(parent)
    ran, unscreened = book.submit(parent_id=parent), book.submit(parent_id=parent)
    book.done(ran, "failed")
    book.command(unscreened, "fail")
    assert book.command(parent, end) == "applied"
    assert [book.command(child, command) for child in (ran, unscreened)] == ["refused:parent_ended"] * 2
    assert [book.status(child) for child in (ran, unscreened)] == ["failed"] * 2


def test_a_child_that_is_tried_again_ends_no_later_than_its_parent(book: Book) -> None:
    parent = book.submit(deadline_at=book.at + timedelta(hours=2))
    child = book.submit(parent_id=parent, deadline_at=book.at + timedelta(seconds=3))
    book.check(child)
    book.start(parent)
    assert book.command(child, "time_out") == "applied"
    assert book.command(child, "retry") == "applied"
    assert book.task(child).deadline_at == book.task(parent).deadline_at
