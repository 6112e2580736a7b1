"""Many tasks that wait for one another: queues and webs of them."""

from uuid import UUID

import pytest

from consumers.keeper.state import Course, TaskState
from consumers.keeper.world import Key, World
from events.ids import new_id
from events.task import Dependency
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
    assert book.wish(head, "cancel") == "applied"
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
