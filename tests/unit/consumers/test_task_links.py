"""Dependencies of four types: what each holds back, what lets it go, and what a bad end does to who is held back."""

from uuid import UUID

import pytest

from consumers.keeper.state import Course
from consumers.keeper.world import RefusedError
from consumers.router.heard import ops_of
from events.dependency import ASKS_START, HOLDS_START
from events.run import RunProgress, Usage
from events.streams import ROUTER
from events.task import RUN_HAS_ENDED, DependencyType, TaskError, TaskRunning
from storage.live.heard import release
from storage.live.view import member_of
from tests.unit.consumers.test_task import LEGAL, event, facts, fold, task_in
from tests.unit.consumers.test_task_course import Book

FS, SS, FF, SF = "finish_to_start", "start_to_start", "finish_to_finish", "start_to_finish"
LINKS = (FS, SS, FF, SF)
OUTPUT = {"text": "done"}


@pytest.fixture
def book() -> Book:
    return Book()


def linked(book: Book, on: UUID, link: str, **more: object) -> UUID:
    """A task that was screened and depends on another."""
    task = book.submit(depends_on=[{"task_id": on, "type": link, **more}])
    book.check(task)
    return task


def held(book: Book, on: UUID, link: str, outcome: str = "succeeded", **more: object) -> UUID:
    """A task whose run has ended while the other one holds it back."""
    task = linked(book, on, link, **more)
    book.start_ready(task)
    assert book.finish(task, outcome, output=OUTPUT) == "applied"
    assert (book.status(task), book.task(task).course.held) == ("running", outcome)
    return task


def test_each_type_says_what_it_holds_back_and_what_it_asks() -> None:
    table: dict[DependencyType, tuple[bool, bool]] = {
        "finish_to_start": (True, False),
        "start_to_start": (True, True),
        "finish_to_finish": (False, False),
        "start_to_finish": (False, True),
    }
    assert {one: (one in HOLDS_START, one in ASKS_START) for one in table} == table


def test_who_starts_with_another_is_ready_once_that_has_begun(book: Book) -> None:
    other = book.submit()
    task = linked(book, other, SS)
    assert (book.status(task), book.task(task).detail) == ("waiting", str(other))
    book.start(other)
    assert (book.status(task), book.task(task).reason) == ("ready", "dependencies_met")


@pytest.mark.parametrize("status", ["running", "paused", "between attempts", "succeeded"])
def test_who_has_begun_already_holds_back_no_start(book: Book, status: str) -> None:
    other = book.submit()
    book.start(other)
    if status == "paused":
        book.command(other, "pause")
    elif status == "between attempts":
        book.finish(other, "failed", error=TaskError(code="agent_error", message="no", retryable=True))
    elif status == "succeeded":
        book.finish(other)
    assert book.status(linked(book, other, SS)) == "ready"


def test_what_was_seen_to_begin_has_begun_whatever_becomes_of_it(book: Book) -> None:
    first, second = book.submit(), book.submit()
    task = book.submit(depends_on=[{"task_id": one, "type": SS} for one in (first, second)])
    book.check(task)
    book.start(first)
    assert (book.status(task), book.task(task).detail) == ("waiting", str(second))
    book.command(first, "fail")
    assert book.status(task) == "waiting"
    book.start(second)
    assert book.status(task) == "ready"


@pytest.mark.parametrize("outcome", ["succeeded", "partial"])
@pytest.mark.parametrize("link", [FF, SF])
def test_who_may_not_end_yet_stays_running_with_its_result_and_says_for_whom(
    book: Book, link: str, outcome: str
) -> None:
    other = book.submit()
    task = held(book, other, link, outcome, required=True)
    found = book.task(task)
    assert (found.reason, found.detail, found.result) == ("dependencies", str(other), OUTPUT)
    assert (found.due_at, found.heartbeat_at, found.finished_at) == (None, None, None)
    assert book.run_status(task) == outcome
    told = book.announced[-1].data
    assert isinstance(told, TaskRunning)
    assert (told.subject_name, told.run_outcome) == (RUN_HAS_ENDED, outcome)
    if link == FF:
        book.done(other)
    else:
        book.start(other)
    found = book.task(task)
    assert (found.status, found.reason, found.result) == (outcome, "dependencies_met", OUTPUT)
    assert (found.course.held, found.effects_done) == (None, None)
    assert book.entered(task) == ["ready", "assigned", "running", "running", outcome]


def test_an_end_waits_for_all_that_hold_it_back_and_names_those_that_are_left(book: Book) -> None:
    first, second = book.submit(), book.submit()
    task = book.submit(depends_on=[{"task_id": first, "type": FF}, {"task_id": second, "type": SF}])
    book.start(task)
    book.finish(task, output=OUTPUT)
    assert book.task(task).detail == f"{first}, {second}"
    book.start(second)
    assert (book.status(task), book.task(task).detail) == ("running", str(first))
    told = len(book.announced)
    book.finish(second)
    assert not any(book._is_about(event, task) for event in book.announced[told:])
    book.done(first)
    assert book.status(task) == "succeeded"


def test_what_has_come_by_then_holds_back_no_end(book: Book) -> None:
    first, second = book.submit(), book.submit()
    task = book.submit(depends_on=[{"task_id": first, "type": FF}, {"task_id": second, "type": SF}])
    book.start(task)
    book.done(first)
    book.start(second)
    book.command(second, "fail")
    book.finish(task)
    assert book.status(task) == "succeeded"


@pytest.mark.parametrize("link", [FS, SS, FF, SF])
def test_a_bad_end_of_a_required_one_skips_who_has_not_begun(book: Book, link: str) -> None:
    other, gone, holding = book.submit(), book.submit(), book.submit()
    task = book.submit(depends_on=[{"task_id": holding}, {"task_id": other, "type": link}])
    book.check(task)
    book.command(other, "cancel")
    book.command(gone, "cancel")
    assert (book.status(task), book.task(task).reason) == ("skipped", "dependency_failed")
    assert book.status(linked(book, gone, link)) == "skipped"
    assert book.status(linked(book, gone, link, required=False)) == "ready"


@pytest.mark.parametrize("at", ["ready", "assigned", "running", "paused", "waiting", "held"])
@pytest.mark.parametrize("link", [FF, SF])
def test_a_bad_end_of_a_required_one_fails_who_has_begun_and_could_never_end_well(
    book: Book, link: str, at: str
) -> None:
    other = book.submit()
    task = held(book, other, link) if at == "held" else linked(book, other, link)
    if at == "assigned":
        book.assign(task)
    elif at not in ("ready", "held"):
        book.start_ready(task)
    if at == "paused":
        book.command(task, "pause")
    if at == "waiting":
        book.finish(task, "failed", error=TaskError(code="agent_error", message="no", retryable=True))
    book.command(other, "cancel")
    found = book.task(task)
    assert (found.status, found.reason, found.detail) == ("failed", "dependency_failed", str(other))
    if at == "held":
        assert (found.result, found.effects_done, found.course.held) == (OUTPUT, True, None)
        assert book.run_status(task) == "succeeded"
    assert book.command(task, "retry") == "applied"
    assert book.status(task) == "skipped"


@pytest.mark.parametrize("link", [FF, SF])
def test_who_is_not_required_lets_go_however_it_ends(book: Book, link: str) -> None:
    other = book.submit()
    task = held(book, other, link, required=False)
    book.command(other, "cancel")
    assert (book.status(task), book.task(task).result) == ("succeeded", OUTPUT)


@pytest.mark.parametrize("said", ["finish", "lost", "progress", "pause", "overtime"])
def test_nothing_is_heard_any_more_of_a_run_whose_end_is_held_back(book: Book, said: str) -> None:
    task = held(book, book.submit(), FF)
    before = book.task(task)
    outcome = {
        "finish": lambda: book.finish(task, "failed"),
        "lost": lambda: book.finish(task, "lost"),
        "progress": lambda: book.state_fact(task, RunProgress, seq=1),
        "pause": lambda: book.command(task, "pause"),
        "overtime": lambda: book.command(task, "time_out", attempt=1),
    }[said]()
    assert outcome in ("refused:run_has_ended", "refused:stale_time_out")
    assert book.task(task) == before


@pytest.mark.parametrize(("action", "status"), [("cancel", "cancelled"), ("time_out", "timed_out"), ("fail", "failed")])
def test_who_is_held_back_can_still_be_ended_and_says_that_its_work_was_done(
    book: Book, action: str, status: str
) -> None:
    other = book.submit()
    task = held(book, other, FF)
    assert book.command(task, action) == "applied"
    found = book.task(task)
    assert (found.status, found.result, found.effects_done) == (status, OUTPUT, True)
    assert book.run_status(task) == "succeeded"
    told = len(book.announced)
    book.done(other)
    assert not any(book._is_about(event, task) for event in book.announced[told:])


@pytest.mark.parametrize("result", [None, {"text": "by hand"}])
def test_its_owner_may_say_that_what_is_held_back_is_done(book: Book, result: dict[str, object] | None) -> None:
    task = held(book, book.submit(), FF)
    assert book.command(task, "complete", result=result) == "applied"
    assert (book.status(task), book.task(task).result) == ("succeeded", result or OUTPUT)


def test_a_run_that_ends_badly_or_spends_too_much_is_held_back_by_nobody(book: Book) -> None:
    other = book.submit()
    failed = linked(book, other, FF)
    over = book.submit(budget={"max_tokens": 1}, depends_on=[{"task_id": other, "type": FF}])
    book.start_ready(failed)
    book.finish(failed, "failed")
    book.start(over)
    book.finish(over, usage=Usage(tokens=2))
    assert [book.status(task) for task in (failed, over)] == ["failed", "failed"]


def test_who_is_held_back_lets_those_go_on_who_wait_for_its_start(book: Book) -> None:
    task = held(book, book.submit(), FF)
    assert book.status(linked(book, task, SS)) == "ready"
    assert book.status(linked(book, task, FS)) == "waiting"


def test_two_may_start_and_end_together(book: Book) -> None:
    first = book.submit()
    second = book.submit(depends_on=[{"task_id": first, "type": SS}, {"task_id": first, "type": FF}])
    book.check(second)
    book.start(first)
    book.start_ready(second)
    book.finish(second)
    assert (book.status(second), book.task(first).course.dependants) == ("running", (second,))
    book.finish(first)
    assert book.status(second) == "succeeded"


def test_a_child_may_begin_with_its_parent_and_not_wait_for_its_end(book: Book) -> None:
    parent = book.submit()
    children = {link: book.submit(parent_id=parent, depends_on=[{"task_id": parent, "type": link}]) for link in LINKS}
    ended = {link: book.task(child).reason for link, child in children.items()}
    assert ended == {FS: "cycle", SS: None, FF: "cycle", SF: None}


@pytest.mark.parametrize("name", facts())
def test_every_event_is_legal_or_refused_where_an_end_is_held_back(name: str) -> None:
    running = task_in("running")
    before = running._replace(course=Course(held="partial"), heartbeat_at=None, result={"text": "done"})
    try:
        after, entered = fold(before, event(facts()[name]))
    except RefusedError:
        return
    assert after is not None
    assert (set(entered) <= LEGAL["running"] - {"paused", "waiting", "ready"}, after.version) == (
        True,
        7 + len(entered),
    )
    assert after.course.held == (None if entered else "partial")


def test_the_router_hears_that_the_agent_is_free_and_of_no_other_start(book: Book) -> None:
    assert [one for one in ROUTER.filters if ".running" in one] == [f"bus.*.task.{RUN_HAS_ENDED}.*"]
    task = held(book, book.submit(), FF, "partial")
    begun, ended = [event for event in book.announced if isinstance(event.data, TaskRunning)]
    assert ops_of(begun) == []
    assert ops_of(ended) == [release(member_of(task, 1), "p", ended.id)]
