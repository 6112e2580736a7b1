"""Many tasks that wait for one another: queues and webs of them."""

from uuid import UUID

import pytest

from consumers.keeper.family import AT_ONCE, MAX_DEPENDANTS
from consumers.keeper.state import Course, TaskState
from consumers.keeper.world import Key, World
from events.ids import new_id
from events.task import Dependency, TaskControl, TaskEntered
from tests.unit.consumers.test_task_course import Book


@pytest.fixture
def book() -> Book:
    return Book()


def queue_behind(book: Book, head: UUID, length: int) -> list[UUID]:
    """So many tasks that wait, each for the one before it."""
    second = book.submit(depends_on=[{"task_id": head}])
    book.check(second)
    like, ids = book.task(second), [second, *(new_id() for _ in range(length - 1))]
    for place, task_id in enumerate(ids):
        before, behind = ids[place - 1] if place else head, tuple(ids[place + 1 : place + 2])
        task = like._replace(id=task_id, depends_on=(Dependency(task_id=before),))
        book.states[Key(TaskState, task_id)] = task._replace(course=Course(dependants=behind))
    return ids


def test_a_long_queue_that_is_skipped_from_its_head_on_ends_to_its_last_task(book: Book) -> None:
    head = book.submit()
    tasks = queue_behind(book, head, 1_200)
    assert book.command(head, "cancel") == "applied"
    assert {book.status(task) for task in tasks} == {"skipped"}
    assert [event.data.task_id for event in book.announced[-1_200:]] == tasks  # type: ignore[attr-defined]  # TaskEntered


@pytest.mark.parametrize("who", ["a child", "nobody's child"])
def test_who_joins_a_dense_web_of_tasks_is_looked_at_once(
    book: Book, who: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [book.submit() for _ in range(150)]
    for place, task_id in enumerate(ids):
        before = tuple(Dependency(task_id=one) for one in ids[max(0, place - 64) : place])
        book.states[Key(TaskState, task_id)] = book.task(task_id)._replace(depends_on=before)
    parent = book.submit() if who == "a child" else None
    asked: list[object] = []
    get = World.get

    def counted(world: World, kind: type[TaskState], key: object) -> TaskState | None:
        asked.append(key)
        return get(world, kind, key)

    monkeypatch.setattr(World, "get", counted)
    task = book.submit(depends_on=[{"task_id": one} for one in ids[-64:]], parent_id=parent)
    assert book.status(task) == "submitted"
    assert len(asked) < 3_000


def waited_for(book: Book, by: int) -> UUID:
    """A task that so many wait for."""
    task_id = book.submit()
    task = book.task(task_id)
    book.states[Key(TaskState, task_id)] = task._replace(course=Course(dependants=tuple(new_id() for _ in range(by))))
    return task_id


def test_only_so_many_may_wait_for_one_task(book: Book) -> None:
    first = waited_for(book, MAX_DEPENDANTS - 1)
    last = book.submit(depends_on=[{"task_id": first}])
    assert book.status(last) == "submitted"
    late = book.submit(depends_on=[{"task_id": book.submit()}, {"task_id": first}])
    assert (book.status(late), book.task(late).reason) == ("failed", "too_many_dependants")
    assert book.task(first).course.dependants[-1] == last
    assert book.command(late, "retry") == "refused:was_refused"


def test_any_number_may_depend_on_what_has_ended_for_good(book: Book) -> None:
    first = waited_for(book, MAX_DEPENDANTS)
    book.done(first)
    task = book.submit(depends_on=[{"task_id": first}])
    book.check(task)
    assert book.status(task) == "ready"
    assert len(book.task(first).course.dependants) == MAX_DEPENDANTS


def test_an_end_that_concerns_too_many_reaches_them_in_several_commits(book: Book) -> None:
    """2,600 tasks: 100 that wait for one, each of them with 25 children."""
    head = book.submit()
    waiting = [queue_behind(book, head, 1)[0] for _ in range(100)]
    like, children = book.task(waiting[0]), [new_id() for _ in range(25 * len(waiting))]
    for place, child in enumerate(children):
        born = like._replace(id=child, parent_id=waiting[place // 25], depends_on=(), course=Course(hold=True))
        book.states[Key(TaskState, child)] = born
    for place, task_id in enumerate(waiting):
        course = Course(children=tuple(children[25 * place : 25 * place + 25]))
        book.states[Key(TaskState, task_id)] = book.task(task_id)._replace(course=course)
    told = len(book.announced)
    assert book.command(head, "cancel") == "applied"
    assert len(book.announced) - told < AT_ONCE + len(waiting)
    assert "waiting" in {book.status(child) for child in children}
    left = [event for event in book.announced[told:] if isinstance(event.data, TaskControl)]
    while left:
        event = left.pop()
        told = len(book.announced)
        assert book.fold(event) == "applied"
        left += [more for more in book.announced[told:] if isinstance(more.data, TaskControl)]
    assert {book.status(task) for task in waiting} == {"skipped"}
    assert {book.status(child) for child in children} == {"cancelled"}
    entered = [event.data.task_id for event in book.announced if isinstance(event.data, TaskEntered)]
    assert len([task for task in entered if task in set(children)]) == len(children)
