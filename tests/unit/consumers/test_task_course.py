"""A task's course beside its states: holds, dependencies, families, budgets, loops, and runs that end late."""

from datetime import timedelta
from uuid import UUID

import pytest

from consumers.keeper.family import MAX_FAMILY
from consumers.keeper.state import SpecState, TaskState
from consumers.keeper.world import Key
from events import (
    MAX_HOPS,
    Event,
    EventData,
    RouteDecided,
    RunFinished,
    RunProgress,
    RunStarted,
    TaskChecked,
    TaskControl,
    TaskEntered,
    TaskError,
    TaskSpec,
    TaskSubmitted,
    Usage,
)
from events.ids import derived_id, new_id, run_id
from tests.support.ledger import Ledger

AGENT = "extractive"


class Book(Ledger):
    """Tasks of owner o, and what is said of them."""

    def submit(self, *, owner: str = "o", hopcount: int = 0, **spec: object) -> UUID:
        task_id = new_id()
        data = TaskSubmitted(task_id=task_id, spec=TaskSpec.model_validate({"prompt": "x", **spec}))
        event = Event.first(data, source="/gateway", tenant="t", owner=owner, task_id=task_id)
        self.states[Key(SpecState, task_id)] = SpecState(task_id, data.spec)
        assert self.fold(event.model_copy(update={"hopcount": hopcount})) == "applied"
        return task_id

    def fact(self, task_id: UUID, data: EventData, source: str) -> str:
        """What a consumer says: one hop further than what it heard of the task last."""
        event = Event.first(data, source=source, tenant="t", owner="o", task_id=task_id)
        hops = [heard.hopcount for heard in self.announced if self._is_about(heard, task_id)]
        return self.fold(event.model_copy(update={"hopcount": 1 + (hops[-1] if hops else 0)}))

    def check(self, task_id: UUID) -> str:
        checked = TaskChecked(task_id=task_id, decision="allow", rules_version="1")
        return self.fact(task_id, checked, "/consumers/reflex")

    def command(self, task_id: UUID, action: str, **more: object) -> str:
        return self.say(TaskControl.model_validate({"task_id": task_id, "action": action, "by": "o", **more}))

    def named(self, task_id: UUID, attempt: int | None = None) -> dict[str, object]:
        attempt = attempt or self.task(task_id).attempt
        return {
            "run_id": run_id(task_id, attempt),
            "task_id": task_id,
            "attempt": attempt,
            "execution_id": derived_id(task_id, "execution", attempt),
            "agent_id": AGENT,
        }

    def assign(self, task_id: UUID) -> None:
        attempt = self.task(task_id).attempt
        decided = RouteDecided(task_id=task_id, attempt=attempt, agent_id=AGENT, score=1.0, reason="the only one")
        assert self.fact(task_id, decided, "/consumers/router") == "applied"

    def start(self, task_id: UUID) -> None:
        """To `running`, from `submitted` or `ready`."""
        if self.task(task_id).status == "submitted":
            assert self.check(task_id) == "applied"
        self.start_ready(task_id)

    def start_ready(self, task_id: UUID) -> None:
        """From `ready` to `running`."""
        self.assign(task_id)
        self.run(task_id)

    def run(self, task_id: UUID) -> None:
        """From `assigned` to `running`."""
        assert self.state_fact(task_id, RunStarted) == "applied"

    def state_fact(self, task_id: UUID, kind: type[EventData], attempt: int | None = None, **more: object) -> str:
        return self.fact(task_id, kind.model_validate({**self.named(task_id, attempt), **more}), "/consumers/runner")

    def finish(self, task_id: UUID, outcome: str = "succeeded", attempt: int | None = None, **more: object) -> str:
        return self.state_fact(task_id, RunFinished, attempt, outcome=outcome, **more)

    def done(self, task_id: UUID, outcome: str = "succeeded") -> None:
        self.start(task_id)
        assert self.finish(task_id, outcome) == "applied"

    def task(self, task_id: UUID) -> TaskState:
        return self.get(TaskState, task_id)

    def status(self, task_id: UUID) -> str:
        return self.task(task_id).status

    def run_status(self, task_id: UUID, attempt: int = 1) -> object:
        rows = [row for row in self.rows["ran"].values() if row[0] == run_id(task_id, attempt)]
        return rows[-1][5] if rows else None

    def entered(self, task_id: UUID) -> list[str]:
        return [event.data.status for event in self.announced if self._is_about(event, task_id)]  # type: ignore[attr-defined]  # a TaskEntered

    @staticmethod
    def _is_about(event: Event[EventData], task_id: UUID) -> bool:
        return isinstance(event.data, TaskEntered) and event.data.task_id == task_id


@pytest.fixture
def book() -> Book:
    return Book()


def test_a_task_on_hold_waits_for_its_start_and_says_so(book: Book) -> None:
    task = book.submit(hold=True)
    book.check(task)
    assert (book.status(task), book.task(task).reason) == ("waiting", "hold")
    assert book.command(task, "start") == "applied"
    assert (book.status(task), book.task(task).attempt, book.task(task).reason) == ("ready", 1, None)
    assert book.command(task, "start") == "refused:not_held"


def test_a_start_before_the_verdict_lets_it_pass_with_the_verdict(book: Book) -> None:
    task = book.submit(hold=True)
    assert book.command(task, "start") == "applied"
    book.check(task)
    assert book.status(task) == "ready"


def test_a_task_waits_for_its_dependencies_and_names_them(book: Book) -> None:
    first, second = book.submit(), book.submit()
    task = book.submit(depends_on=[{"task_id": first}, {"task_id": second}])
    book.check(task)
    assert (book.status(task), book.task(task).reason) == ("waiting", "dependencies")
    assert book.task(task).detail == f"{first}, {second}"
    book.done(first)
    assert (book.status(task), book.task(task).detail) == ("waiting", str(second))
    book.done(second, "partial")
    assert (book.status(task), book.task(task).attempt) == ("ready", 1)
    assert book.task(task).reason == "dependencies_met"


def test_a_dependency_that_has_ended_already_holds_nobody(book: Book) -> None:
    first = book.submit()
    book.done(first)
    task = book.submit(depends_on=[{"task_id": first}])
    book.check(task)
    assert book.status(task) == "ready"


@pytest.mark.parametrize("end", ["cancel", "fail"])
def test_who_depends_on_what_ends_badly_is_skipped_and_so_is_who_depends_on_that(book: Book, end: str) -> None:
    first = book.submit()
    second = book.submit(depends_on=[{"task_id": first}])
    third = book.submit(depends_on=[{"task_id": second}])
    whatever = book.submit(depends_on=[{"task_id": first, "required": False}])
    for task in (second, third, whatever):
        book.check(task)
    book.command(first, end)
    assert [book.status(task) for task in (second, third, whatever)] == ["skipped", "skipped", "ready"]
    late = book.submit(depends_on=[{"task_id": first}])
    book.check(late)
    assert book.status(late) == "skipped"
    assert book.command(late, "retry") == "refused:not_retryable"


def test_the_end_of_a_queue_of_tasks_is_no_loop(book: Book) -> None:
    tasks = [book.submit()]
    for _ in range(MAX_HOPS + 3):
        tasks.append(book.submit(depends_on=[{"task_id": tasks[-1]}]))
        book.check(tasks[-1])
    for task in tasks:
        book.done(task)
    assert {book.status(task) for task in tasks} == {"succeeded"}
    assert max(event.hopcount for event in book.announced) < 12


@pytest.mark.parametrize("kind", ["cycle to a parent", "cycle over a sibling", "unknown", "foreign"])
def test_what_can_never_be_met_fails_at_once(book: Book, kind: str) -> None:
    parent = book.submit()
    sibling = book.submit(parent_id=parent, depends_on=[])
    waits_for_parent = book.submit(depends_on=[{"task_id": parent}])
    on, code = {
        "cycle to a parent": (parent, "cycle"),
        "cycle over a sibling": (waits_for_parent, "cycle"),
        "unknown": (new_id(), "unknown_dependency"),
        "foreign": (book.submit(owner="other"), "unknown_dependency"),
    }[kind]
    task = book.submit(parent_id=parent, depends_on=[{"task_id": sibling}, {"task_id": on}])
    assert (book.status(task), book.task(task).reason) == ("failed", code)
    assert book.check(task) == "refused:already_checked"
    for command in ("retry", "replay"):
        assert book.command(task, command) == "refused:was_refused"


def test_a_cancelled_parent_takes_its_children_with_it_and_theirs(book: Book) -> None:
    parent = book.submit()
    children = [book.submit(parent_id=parent), book.submit(parent_id=parent)]
    grandchild = book.submit(parent_id=children[0])
    waiting = book.submit(parent_id=parent, depends_on=[{"task_id": grandchild}])
    book.check(waiting)
    book.start(grandchild)
    book.done(children[1])
    assert book.command(parent, "cancel", reason="never mind") == "applied"
    assert (book.task(parent).reason, book.task(parent).detail) == ("cancelled_by_owner", "never mind")
    ended = [book.status(task) for task in (parent, *children, grandchild, waiting)]
    assert ended == ["cancelled", "cancelled", "succeeded", "cancelled", "skipped"]
    assert book.entered(waiting) == ["waiting", "skipped"]  # once, though two things would have ended it
    assert book.task(grandchild).reason == "parent_cancelled"
    assert book.run_status(grandchild) == "cancelled"


def test_a_child_needs_an_open_parent_of_the_same_owner_and_ends_no_later(book: Book) -> None:
    parent = book.submit(deadline_at=book.at + timedelta(minutes=5))
    child = book.submit(parent_id=parent)
    assert book.task(child).deadline_at == book.task(parent).deadline_at
    assert (book.task(child).parent_id, book.task(child).root_id) == (parent, parent)
    assert book.task(book.submit(parent_id=new_id())).reason == "unknown_parent"
    assert book.task(book.submit(parent_id=parent, owner="other")).reason == "unknown_parent"
    book.done(parent)
    assert book.task(book.submit(parent_id=parent)).reason == "parent_ended"


def test_one_root_has_only_so_many_descendants(book: Book) -> None:
    root = book.submit()
    child = book.submit(parent_id=root)
    for _ in range(MAX_FAMILY - 1):
        book.submit(parent_id=child)
    assert book.task(root).course.family == MAX_FAMILY
    late = book.submit(parent_id=child)
    assert (book.status(late), book.task(late).reason) == ("failed", "loop_detected")
    assert book.task(root).course.family == MAX_FAMILY


def test_generations_end_after_so_many_hops_whatever_an_event_says_of_itself(book: Book) -> None:
    task = book.submit()
    for _ in range(MAX_HOPS):
        task = book.submit(parent_id=task, hopcount=0)
        assert book.status(task) == "submitted"
    last = book.submit(parent_id=task, hopcount=0)
    assert (book.status(last), book.task(last).reason) == ("failed", "loop_detected")
    assert book.task(book.submit(hopcount=MAX_HOPS)).reason == "loop_detected"
    assert book.status(book.submit(hopcount=MAX_HOPS - 1)) == "submitted"


def test_an_event_that_came_round_too_often_ends_its_task(book: Book) -> None:
    task = book.submit()
    data = TaskChecked(task_id=task, decision="allow", rules_version="1")
    event = Event.first(data, source="/consumers/reflex", tenant="t", owner="o", task_id=task)
    book.fold(event.model_copy(update={"hopcount": MAX_HOPS}))
    assert (book.status(task), book.task(task).reason) == ("failed", "loop_detected")


@pytest.mark.parametrize("spent", [Usage(tokens=101), Usage(cost_usd=0.6)])
def test_a_run_that_spends_too_much_fails_and_its_result_is_kept(book: Book, spent: Usage) -> None:
    task = book.submit(budget={"max_tokens": 100, "max_cost_usd": 0.5})
    book.start(task)
    book.finish(task, "succeeded", usage=spent, output={"text": "half"})
    found = book.task(task)
    assert (found.status, found.reason, found.result) == ("failed", "budget_exceeded", {"text": "half"})


def test_all_attempts_spend_from_one_budget_and_a_retry_by_its_owner_grants_it_anew(book: Book) -> None:
    task = book.submit(budget={"max_tokens": 100})
    book.start(task)
    failed = TaskError(code="agent_error", message="It failed.", retryable=True)
    book.finish(task, "failed", error=failed, usage=Usage(tokens=60), output={"text": "first half"})
    assert book.status(task) == "waiting"
    assert book.command(task, "retry", attempt=1) == "applied"  # the janitor's
    book.start(task)
    book.state_fact(task, RunProgress, seq=1, usage=Usage(tokens=39))
    assert book.status(task) == "running"
    book.state_fact(task, RunProgress, seq=2, usage=Usage(tokens=41))
    assert (book.status(task), book.task(task).reason) == ("failed", "budget_exceeded")
    assert book.run_status(task, 2) == "failed"
    assert book.command(task, "retry") == "applied"
    assert book.task(task).course.tokens == 0


def test_a_run_has_the_time_that_its_budget_leaves_and_ten_seconds_to_end_itself(book: Book) -> None:
    task = book.submit(budget={"max_time_seconds": 60})
    book.start(task)
    due_at = book.task(task).due_at
    assert due_at is not None
    assert due_at - book.at == timedelta(seconds=70)
    assert book.command(task, "time_out", attempt=2) == "refused:stale_time_out"
    assert book.command(task, "time_out", attempt=1) == "applied"
    assert (book.status(task), book.task(task).reason) == ("timed_out", "time_budget")


@pytest.mark.parametrize("outcome", ["succeeded", "cancelled"])
@pytest.mark.parametrize(("action", "status"), [("cancel", "cancelled"), ("time_out", "timed_out"), ("fail", "failed")])
def test_a_late_end_is_noted_and_changes_no_state(book: Book, action: str, status: str, outcome: str) -> None:
    task = book.submit()
    book.start(task)
    book.command(task, action)
    assert book.run_status(task) in ("cancelled", "timed_out", "failed")
    told = len(book.announced)
    assert book.finish(task, outcome, output={"text": "done anyway"}) == "applied"
    found = book.task(task)
    assert (found.status, found.effects_done) == (status, outcome == "succeeded")
    assert found.result == {"text": "done anyway"}
    assert book.run_status(task) == outcome
    assert len(book.announced) == told
    assert book.finish(task, "succeeded").startswith("refused:")  # the end of a run is heard once


def test_other_late_facts_are_refused_and_leave_no_trace(book: Book) -> None:
    task = book.submit()
    book.start(task)
    book.command(task, "cancel")
    before = book.task(task)
    other = new_id()
    assert book.state_fact(task, RunProgress, seq=1) == "refused:not_running"
    assert book.state_fact(task, RunStarted, execution_id=other) == "refused:already_started"
    assert book.finish(task, "succeeded", execution_id=other) == "refused:not_running"
    assert book.task(task) == before


def test_a_task_cancelled_before_its_agent_was_heard_notes_what_that_did(book: Book) -> None:
    task = book.submit()
    book.check(task)
    book.assign(task)
    book.command(task, "cancel")
    assert book.finish(task, "succeeded") == "applied"
    assert (book.status(task), book.task(task).effects_done) == ("cancelled", True)


def test_a_pause_stops_the_run_and_a_resume_begins_another_that_counts_against_nothing(book: Book) -> None:
    task = book.submit()
    for _ in range(4):
        book.start(task)
        attempt = book.task(task).attempt
        assert book.command(task, "pause") == "applied"
        assert book.run_status(task, attempt) == "cancelled"
        assert book.finish(task, "cancelled", output={"text": f"part {attempt}"}) == "applied"
        assert book.status(task) == "paused"
        assert book.command(task, "resume") == "applied"
        assert book.task(task).result == {"text": f"part {attempt}"}
    assert (book.task(task).attempt, book.task(task).course.granted) == (5, 4)
    book.start(task)
    book.finish(task, "lost")
    assert (book.status(task), book.task(task).attempt) == ("ready", 6)  # a lost attempt still has its retries
    assert book.command(task, "resume") == "refused:not_paused"


def test_a_task_that_names_no_deadline_has_a_day(book: Book) -> None:
    at = book.at
    lasts = book.task(book.submit()).deadline_at - at
    assert timedelta(hours=24) <= lasts < timedelta(hours=24, minutes=1)


def test_a_retry_after_the_deadline_gets_a_new_one(book: Book) -> None:
    task = book.submit(deadline_at=book.at + timedelta(seconds=3))
    book.check(task)
    for _ in range(3):
        book.command(book.submit(), "cancel")  # time passes
    assert book.command(task, "time_out") == "applied"
    assert (book.status(task), book.task(task).reason) == ("failed", "unroutable")
    assert book.command(task, "retry") == "applied"
    assert book.status(task) == "ready"
    assert book.task(task).deadline_at == book.at + timedelta(hours=24)


def test_attempts_are_three_and_only_a_replay_grants_another(book: Book) -> None:
    task = book.submit()
    for attempt in (1, 2, 3):
        book.start(task)
        book.finish(task, "failed", error=TaskError(code="agent_error", message="no"))
        assert book.command(task, "retry") == ("refused:attempts_used_up" if attempt == 3 else "applied")
    assert book.command(task, "replay") == "applied"
    assert (book.status(task), book.task(task).attempt) == ("ready", 4)


def test_a_retry_of_what_never_had_a_verdict_asks_for_one_and_never_goes_round_it(book: Book) -> None:
    task = book.submit(required_capabilities=["summarize"])
    book.command(task, "fail", reason="dead_lettered")
    assert book.command(task, "replay") == "applied"
    assert (book.status(task), book.task(task).reason) == ("waiting", "verdict")
    asked = book.announced[-1]
    assert isinstance(asked.data, TaskSubmitted)
    assert asked.data.spec.required_capabilities == ("summarize",)
    assert book.check(task) == "applied"
    assert book.status(task) == "ready"


def test_its_owner_may_say_that_it_is_done_but_not_before_it_was_screened(book: Book) -> None:
    task = book.submit()
    assert book.command(task, "complete") == "refused:not_checked"
    book.start(task)
    assert book.command(task, "complete", result={"text": "by hand"}) == "applied"
    assert (book.status(task), book.task(task).result) == ("succeeded", {"text": "by hand"})
    assert book.finish(task, "cancelled", output={"text": "half"}) == "applied"
    assert (book.task(task).result, book.task(task).effects_done) == ({"text": "by hand"}, False)
