"""The keeper's rules of contexts that a run changes: what its task's owner lets it, and only while it is at work."""

from uuid import UUID

import pytest

from consumers.keeper.context_state import ContextState
from events import ContextChange, Event
from events.context import ContextOp, referred_context, writable_context
from events.ids import derived_id, new_id
from tests.unit.consumers.test_task_course import Book


@pytest.fixture
def book() -> Book:
    return Book()


def context_of(book: Book, owner: str = "o") -> UUID:
    context_id = new_id()
    made = ContextChange(context_id=context_id, action="create", by=owner, scope="global", data={"a": 1})
    assert book.fold(Event.first(made, source="/gateway", tenant="t", owner=owner)) == "applied"
    return context_id


def changed(book: Book, context_id: UUID, task: UUID, *, attempt: int = 1, **more: object) -> str:
    """As the task's agent says it."""
    said = ContextChange.model_validate(
        {
            "context_id": context_id,
            "action": "change",
            "by": "AGENT",
            "ops": (ContextOp(op="set", path="b", value=2),),
            "execution_id": derived_id(task, "execution", attempt),
            **more,
        }
    )
    return book.fold(Event.first(said, source="/gateway", tenant="t", owner="o", task_id=task))


def granting(book: Book, *refs: str) -> UUID:
    """A task that refers to these and is at work."""
    task = book.submit(context={"refs": refs})
    book.start(task)
    return task


def test_a_reference_says_whether_it_lets_write() -> None:
    one = new_id()
    refs = [f"context:{one}", f"context:{one}?write", f"context:{one}?read", f"context:{one}?write "]
    assert [referred_context(ref) for ref in refs] == [one, one, None, None]
    assert [writable_context(ref) for ref in refs] == [None, one, None, None]


def test_what_the_task_lets_it_write_is_changed_in_its_name(book: Book) -> None:
    context_id = context_of(book)
    task = granting(book, f"context:{context_id}?write")
    assert changed(book, context_id, task, expected_version=1) == "applied"
    found = book.get(ContextState, context_id)
    assert (found.data, found.version, found.updated_by) == ({"a": 1, "b": 2}, 2, "AGENT")
    assert changed(book, context_id, task, expected_version=1) == "refused:context_conflict"


def test_nothing_else_is_changed(book: Book) -> None:
    read, unnamed, foreign = context_of(book), context_of(book), context_of(book, "p")
    task = granting(book, f"context:{read}", f"context:{foreign}?write")
    assert changed(book, read, task) == "refused:not_granted"
    assert changed(book, unnamed, task) == "refused:not_granted"
    assert changed(book, foreign, task) == "refused:unknown_context"
    for action in ("delete", "promote", "merge", "share", "create"):
        assert changed(book, foreign, task, action=action) == "refused:not_granted", action


def test_only_the_execution_that_is_at_work_may(book: Book) -> None:
    context_id = context_of(book)
    task = book.submit(context={"refs": [f"context:{context_id}?write"]})
    assert changed(book, context_id, task) == "refused:not_running"
    book.start(task)
    assert changed(book, context_id, task, attempt=2) == "refused:other_execution"
    assert changed(book, context_id, new_id()) == "refused:no_task"
    book.finish(task)
    assert changed(book, context_id, task) == "refused:not_running"
    assert book.get(ContextState, context_id).version == 1
