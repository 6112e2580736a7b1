"""A dependency that is added to, or removed from, a task that is there: only before it has passed the door."""

from datetime import timedelta
from uuid import UUID

import pytest
from asyncpg.pgproto.pgproto import UUID as Read  # noqa: N811 - a subclass of its own

from consumers.keeper.rows import steered_row
from consumers.keeper.state import Course
from events.ids import new_id
from events.task import TaskError
from tests.unit.consumers.test_task_course import Book
from tests.unit.consumers.test_task_links import FF, FS, LINKS, SF, SS
from tests.unit.consumers.test_task_queues import queue_behind


@pytest.fixture
def book() -> Book:
    return Book()


def add(book: Book, task: UUID, on: UUID, link: str = FS, **more: object) -> str:
    dependency = {"task_id": on, "type": link, **more}
    return book.command(task, "add_dependency", dependency=dependency)


def remove(book: Book, task: UUID, on: UUID) -> str:
    return book.command(task, "remove_dependency", dependency={"task_id": on})


@pytest.mark.parametrize("at", ["submitted", "hold", "dependencies"])
def test_it_holds_back_as_if_it_had_always_been_there(book: Book, at: str) -> None:
    first, second = book.submit(), book.submit()
    task = book.submit(depends_on=[{"task_id": first}], hold=at == "hold")
    if at != "submitted":
        book.check(task)
    assert add(book, task, second) == "applied"
    if at == "submitted":
        book.check(task)
    if at == "hold":
        book.command(task, "start")
    assert (book.status(task), book.task(task).detail) == ("waiting", f"{first}, {second}")
    book.done(first)
    book.done(second)
    assert book.status(task) == "ready"


def test_one_that_has_begun_by_then_is_noted_as_begun(book: Book) -> None:
    other = book.submit()
    task = book.submit(hold=True)
    book.check(task)
    book.start(other)
    assert add(book, task, other, SS) == "applied"
    book.command(other, "fail")
    book.command(task, "start")
    assert book.status(task) == "ready"


@pytest.mark.parametrize("at", ["ready", "assigned", "running", "paused", "between attempts"])
def test_who_has_passed_the_door_takes_none_and_loses_none(book: Book, at: str) -> None:
    other, task = book.submit(), book.submit()
    book.check(task)
    if at != "ready":
        book.assign(task)
    if at not in ("ready", "assigned"):
        book.run(task)
    if at == "paused":
        book.command(task, "pause")
    if at == "between attempts":
        book.finish(task, "failed", error=TaskError(code="agent_error", message="no", retryable=True))
    before = book.task(task)
    assert add(book, task, other) == "refused:has_begun"
    assert remove(book, task, other) == "refused:has_begun"
    assert book.task(task) == before


def test_what_cannot_be_is_refused_and_changes_nothing(book: Book) -> None:
    other, ended, foreign = book.submit(), book.submit(), book.submit(owner="another")
    book.command(ended, "cancel")
    task = book.submit(depends_on=[{"task_id": other}])
    before = book.task(task)
    assert add(book, task, other) == "refused:depends_already"
    assert add(book, task, ended) == "refused:dependency_failed"
    assert add(book, task, foreign) == "refused:unknown_dependency"
    assert add(book, task, new_id()) == "refused:unknown_dependency"
    assert add(book, task, task, SS) == "refused:cycle"
    assert remove(book, task, ended) == "refused:not_a_dependency"
    assert book.command(task, "add_dependency") == "refused:no_dependency"
    assert book.task(task) == before
    assert add(book, task, ended, required=False) == "applied"


def test_only_so_many(book: Book) -> None:
    others = [book.submit() for _ in range(64)]
    task = book.submit(depends_on=[{"task_id": one} for one in others])
    assert add(book, task, book.submit()) == "refused:too_many_dependencies"


# first waits for second over one type; the second may wait for the first only where neither waits for itself.
@pytest.mark.parametrize("forth", LINKS)
@pytest.mark.parametrize("back", LINKS)
def test_a_ring_is_refused_if_nobody_in_it_could_go_on(book: Book, forth: str, back: str) -> None:
    second = book.submit(hold=True)
    first = book.submit(depends_on=[{"task_id": second, "type": forth}])
    middle = book.submit(depends_on=[{"task_id": first, "type": forth}])
    good = {(SS, FF), (SS, SF), (FF, SS), (FF, SF), (SF, SS), (SF, FF), (SF, SF)}
    for end in (first, middle):
        # Whose end waits for a start hands on nothing: who waits for that start does not wait for the end.
        is_good = (forth, back) in good or (end == middle and forth == SF)
        expected = "applied" if is_good else "refused:cycle"
        assert add(book, second, end, back) == expected
        if expected == "applied":
            assert remove(book, second, end) == "applied"


def test_who_was_waited_for_no_longer_holds_or_skips_anybody(book: Book) -> None:
    first, second = book.submit(), book.submit()
    task = book.submit(depends_on=[{"task_id": first}, {"task_id": second, "type": SS}, {"task_id": second}])
    book.check(task)
    assert remove(book, task, second) == "applied"
    assert (book.status(task), book.task(task).detail) == ("waiting", str(first))
    assert (book.task(second).course.dependants, book.task(second).course.starters) == ((), ())
    book.command(second, "cancel")
    assert book.status(task) == "waiting"
    assert remove(book, task, first) == "applied"
    assert (book.status(task), book.task(task).depends_on) == ("ready", ())


def test_a_deadline_still_ends_who_waits(book: Book) -> None:
    task = book.submit(deadline_at=book.at + timedelta(seconds=2))
    assert add(book, task, book.submit()) == "applied"
    assert book.command(task, "time_out") == "applied"
    assert book.status(task) == "timed_out"


def test_ids_that_came_out_of_the_database_can_go_back_into_it(book: Book) -> None:
    task = book.task(book.submit())
    read = Read(str(new_id()))  # as the driver makes them
    named = task._replace(course=Course(dependants=(read,), starters=(read,), begun=(read,)))
    assert str(steered_row(named)[1]).count(str(read)) == 3


def test_who_is_too_far_away_to_be_sure_is_refused_unless_nobody_waits(book: Book) -> None:
    last = queue_behind(book, book.submit(), 1_100)[-1]
    task = book.submit()
    other = book.submit(depends_on=[{"task_id": task}])
    assert add(book, task, last) == "refused:too_far"
    assert add(book, other, last) == "applied"
