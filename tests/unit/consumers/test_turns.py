"""Turns of a conversation: one at a time, in order of arrival, and a history without a hole, whatever happens."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json

from consumers.keeper.fold import MAX_BODY
from consumers.keeper.turns import title_of
from events import (
    FINAL,
    Event,
    EventData,
    MessageAppended,
    RouteDecided,
    RunFinished,
    RunStarted,
    SessionControl,
    SessionSpec,
    TaskChecked,
    TaskEntered,
    TaskError,
    TaskSpec,
    TaskSubmitted,
)
from events.base import JsonObject
from events.codec import encode
from events.ids import derived_id, new_id, run_id
from tests.support.folding import Story, control

Turn = Event[EventData]


def turn(
    text: str, session: str | None = None, *, owner: str = "ada", tenant: str = "t", spec: SessionSpec | None = None
) -> Turn:
    """A message; without a session it opens one."""
    task_id = new_id()
    opens = spec or (None if session else SessionSpec(kind="chat"))
    data = TaskSubmitted(task_id=task_id, spec=TaskSpec(kind="turn", prompt=text), session=opens)
    session_id = session or str(derived_id(task_id, "session"))
    return Event.first(data, source="/gateway", tenant=tenant, owner=owner, task_id=task_id, session_id=session_id)


def checked(cause: Turn, decision: str = "allow", **more: object) -> Turn:
    data = TaskChecked.model_validate({"task_id": cause.taskid, "decision": decision, "rules_version": "1", **more})
    return cause.caused(data, source="/consumers/reflex")


def working(cause: Turn, attempt: int = 1) -> list[Turn]:
    """Routed and started."""
    assert cause.taskid is not None
    route = RouteDecided(task_id=cause.taskid, attempt=attempt, agent_id="a", score=1, reason="the only one")
    started = RunStarted.model_validate(named(cause, attempt))
    return [
        cause.caused(route, source="/consumers/router", seed=f"{cause.taskid} r{attempt}"),
        cause.caused(started, source="/consumers/runner", seed=f"{cause.taskid} s{attempt}"),
    ]


def named(cause: Turn, attempt: int = 1) -> dict[str, object]:
    task_id = cause.taskid
    assert task_id is not None
    execution = derived_id(task_id, "execution", attempt)
    run = run_id(task_id, attempt)
    return {"run_id": run, "task_id": task_id, "attempt": attempt, "execution_id": execution, "agent_id": "a"}


def ended(cause: Turn, text: str | None = None, outcome: str = "succeeded", attempt: int = 1, **more: object) -> Turn:
    said = {"outcome": outcome, "output": {"text": text or f"re: {prompt_of(cause)}"}, **more}
    data = RunFinished.model_validate({**named(cause, attempt), **said})
    return cause.caused(data, source="/consumers/runner", seed=f"{cause.taskid} f{attempt}")


def prompt_of(cause: Turn) -> str:
    assert isinstance(cause.data, TaskSubmitted)
    return cause.data.spec.prompt


def states(news: list[EventData]) -> list[tuple[str, str | None]]:
    return [(data.status, data.reason) for data in news if isinstance(data, TaskEntered)]


def test_a_turn_from_its_message_to_its_answer() -> None:
    story, first = Story(), turn("My dog is called Pepper.")
    opened = story.fold(first)
    assert [data.event_type.split(".")[2:4] for data in opened] == [["session", "opened"]]
    assert story.history(first.sessionid) == []
    begun = story.fold(checked(first))
    assert [type(data).__name__ for data in begun] == ["TaskReady", "MessageAppended", "SessionUpdated"]
    assert story.history(first.sessionid) == [(1, "user", "My dog is called Pepper.")]
    story.fold(*working(first))
    done = story.fold(ended(first, "A fine name."))
    assert [type(data).__name__ for data in done] == ["TaskSucceeded", "MessageAppended"]
    assert story.history(first.sessionid) == [(1, "user", "My dog is called Pepper."), (2, "assistant", "A fine name.")]
    session = story.session(first.sessionid)
    assert (session.title, session.kind, session.turns, session.active_turn) == (
        "My dog is called Pepper.",
        "chat",
        (),
        None,
    )
    assert session.last_seq == 2
    assert story.messages[1][4] == named(first)["execution_id"]


def test_the_second_turn_waits_visibly_and_begins_when_the_first_ends() -> None:
    story, first = Story(), turn("one")
    second = turn("two", first.sessionid)
    story.fold(first, second)
    assert states(story.fold(checked(first))) == [("ready", None)]
    assert states(story.fold(checked(second))) == [("waiting", "session_busy")]
    story.fold(*working(first))
    news = story.fold(ended(first))
    assert states(news) == [("succeeded", None), ("ready", None)]
    assert story.history(first.sessionid) == [(1, "user", "one"), (2, "assistant", "re: one"), (3, "user", "two")]


def test_order_of_arrival_is_kept_even_if_a_later_verdict_comes_first() -> None:
    story, first = Story(), turn("one")
    second = turn("two", first.sessionid)
    story.fold(first, second)
    assert states(story.fold(checked(second))) == [("waiting", "session_busy")]
    assert states(story.fold(checked(first))) == [("ready", None)]


def test_the_message_is_in_the_batch_that_announces_ready() -> None:
    story, first = Story(), turn("one")
    news = story.fold(first, checked(first))
    assert [type(data).__name__ for data in news][-3:] == ["TaskReady", "MessageAppended", "SessionUpdated"]
    assert len(story.messages) == 1


@pytest.mark.parametrize(
    "end",
    [
        lambda first: [control(first, "cancel")],
        lambda first: [control(first, "fail")],
        lambda first: [control(first, "time_out")],
        lambda first: [*working(first), control(first, "cancel")],
        lambda first: [
            *working(first),
            ended(first, outcome="failed", error=TaskError(code="no", message="no", retryable=False)),
        ],
        lambda first: [*working(first), ended(first, outcome="timed_out")],
        lambda first: [*working(first), ended(first, outcome="partial")],
    ],
)
def test_however_a_turn_ends_the_next_one_begins(end: Callable[[Turn], list[Turn]]) -> None:
    story, first = Story(), turn("one")
    second, third = turn("two", first.sessionid), turn("three", first.sessionid)
    story.fold(first, second, third, checked(first), checked(second), checked(third))
    news = [data for event in end(first) for data in story.fold(event)]
    assert states(news)[-1] == ("ready", None)
    assert story.task(second.taskid).status == "ready"
    assert story.task(third.taskid).status == "waiting"


def test_a_blocked_turn_never_enters_the_history_and_the_next_one_begins() -> None:
    story, first = Story(), turn("drop it")
    second = turn("two", first.sessionid)
    story.fold(first, second, checked(second))
    assert states(story.fold(checked(first, "block", reason="no"))) == [
        ("blocked", "blocked_by_policy"),
        ("ready", None),
    ]
    assert story.history(first.sessionid) == [(1, "user", "two")]


def test_a_waiting_turn_that_is_cancelled_leaves_the_queue_and_nothing_else() -> None:
    story, first = Story(), turn("one")
    second, third = turn("two", first.sessionid), turn("three", first.sessionid)
    story.fold(first, second, third, checked(first), checked(second), checked(third))
    assert states(story.fold(control(second, "cancel"))) == [("cancelled", "cancelled_by_owner")]
    story.fold(*working(first), ended(first))
    assert [row[1:] for row in story.history(first.sessionid)] == [
        ("user", "one"),
        ("assistant", "re: one"),
        ("user", "three"),
    ]


def test_an_attempt_that_is_repeated_says_nothing_twice() -> None:
    story, first = Story(), turn("one")
    second = turn("two", first.sessionid)
    story.fold(first, checked(first), second, checked(second), *working(first))
    again = TaskError(code="busy", message="busy", retryable=True)
    story.fold(ended(first, outcome="failed", error=again))
    assert story.task(second.taskid).status == "waiting"
    story.fold(control(first, "retry", attempt=1), *working(first, 2), ended(first, "done", attempt=2))
    assert story.history(first.sessionid) == [(1, "user", "one"), (2, "assistant", "done"), (3, "user", "two")]


def test_the_latest_turn_may_be_tried_again_and_no_earlier_one() -> None:
    story, first = Story(), turn("one")
    second = turn("two", first.sessionid)
    story.fold(first, checked(first), *working(first), ended(first, outcome="timed_out"))
    retry = control(first, "retry")
    assert states(story.fold(retry)) == [("ready", "retry")]
    story.fold(*working(first, 2), ended(first, "late", attempt=2), second, checked(second))
    assert [row[1] for row in story.history(first.sessionid)] == ["user", "assistant", "user"]
    story.fold(*working(second), ended(second, outcome="timed_out"))
    third = turn("three", first.sessionid)
    story.fold(third, checked(third), *working(third), ended(third))
    refused = control(second, "retry")
    story.fold(refused)
    assert story.outcome(refused) == "refused:later_turns"


@pytest.mark.parametrize("whose", [("t", "eve"), ("other", "ada")])
def test_a_turn_in_somebody_elses_session_fails_like_one_in_none(whose: tuple[str, str]) -> None:
    story, first = Story(), turn("one")
    story.fold(first, checked(first))
    tenant, owner = whose
    foreign = turn("hello", first.sessionid, owner=owner, tenant=tenant)
    unknown = turn("hello", "nowhere", owner=owner, tenant=tenant)
    for stranger in (foreign, unknown):
        assert states(story.fold(stranger)) == [("failed", "unknown_session")]
        assert story.outcome(stranger) == "applied"
    errors = [story.task(stranger.taskid).error for stranger in (foreign, unknown)]
    assert errors[0] == errors[1]
    for stranger in (foreign, unknown):
        again = control(stranger, "retry")
        assert story.fold(again) == []
        assert story.outcome(again) == "refused:was_refused"
    taken = turn("mine now", first.sessionid, spec=SessionSpec(kind="chat"), owner=owner, tenant=tenant)
    assert states(story.fold(taken)) == [("failed", "unknown_session")]
    session = story.session(first.sessionid)
    assert (session.turns, session.owner, len(story.messages)) == ((first.taskid,), "ada", 1)


def test_turns_belong_to_conversations() -> None:
    story = Story()
    wrong = turn("one", "work-1", spec=SessionSpec(kind="work"))
    assert states(story.fold(wrong))[-1] == ("failed", "not_a_chat")


def test_an_archived_conversation_takes_nothing_more_and_ends_what_waits() -> None:
    story, first = Story(), turn("one")
    second = turn("two", first.sessionid)
    story.fold(first, second, checked(first), checked(second), *working(first))
    data = SessionControl(session_id=first.sessionid or "", action="archive", by="ada")
    archive = Event.first(data, source="/gateway", tenant="t", owner="ada", session_id=first.sessionid)
    news = story.fold(archive)
    assert states(news) == [("cancelled", "session_archived")] * 2
    assert story.session(first.sessionid).status == "archived"
    late = turn("three", first.sessionid)
    assert states(story.fold(late)) == [("failed", "session_archived")]
    assert story.history(first.sessionid) == [(1, "user", "one")]


@pytest.mark.parametrize(
    ("owner", "version", "code"), [("eve", None, "unknown_session"), ("ada", 7, "version_conflict")]
)
def test_a_session_is_described_anew_by_its_owner_only(owner: str, version: int | None, code: str) -> None:
    story, first = Story(), turn("one")
    story.fold(first)
    command = SessionControl(
        session_id=first.sessionid or "", action="update", by=owner, title="New", expected_version=version
    )
    event = Event.first(command, source="/gateway", tenant="t", owner=owner, session_id=first.sessionid)
    story.fold(event)
    assert story.outcome(event) == f"refused:{code}"
    fine = Event.first(
        command.model_copy(update={"expected_version": 1, "tags": ("a",)}),
        source="/gateway",
        tenant="t",
        owner="ada",
        session_id=first.sessionid,
    )
    story.fold(fine)
    session = story.session(first.sessionid)
    assert (session.title, session.tags, session.version) == ("New", ("a",), 2)


def test_a_repeated_submission_changes_nothing() -> None:
    story, first = Story(), turn("one")
    story.fold(first, first)
    again = first.model_copy(update={"id": str(new_id())})
    story.fold(again)
    assert story.outcome(again) == "refused:task_exists"
    assert story.session(first.sessionid).turns == (first.taskid,)


def test_what_policy_redacts_is_not_in_the_title() -> None:
    story, first = Story(), turn("Call 555-0100 now")
    story.fold(first, checked(first, "redact", redacted={"goal": "Call [PHONE_1] now"}))
    assert story.session(first.sessionid).title == "Call [PHONE_1] now"
    assert story.history(first.sessionid) == [(1, "user", "Call 555-0100 now")]


def test_an_answer_that_no_event_can_carry_is_kept_whole_and_told_in_part() -> None:
    story, first = Story(), turn("one")
    result: JsonObject = {"data": '"' * 400_000}
    story.fold(first, checked(first), *working(first), ended(first, output=result))
    told = next(event for event in story.published if isinstance(event.data, MessageAppended) and event.data.seq == 2)
    assert len(encode(told)) < MAX_BODY
    assert isinstance(told.data, MessageAppended)
    assert (told.data.truncated, len(told.data.content)) == (True, 100_000)
    kept = story.history(first.sessionid)[1][2]
    assert from_json(kept) == result


def test_a_result_without_a_text_is_said_as_json_whatever_numbers_it_holds() -> None:
    story, first = Story(), turn("one")
    result: JsonObject = {"id": 2**70, "share": 0.5, "wo": "früh"}
    story.fold(first, checked(first), *working(first), control(first, "complete", result=result))
    assert story.task(first.taskid).status == "succeeded"
    assert from_json(story.history(first.sessionid)[1][2]) == result


def test_titles_are_short_and_end_at_a_word() -> None:
    assert title_of(" a\n b ") == "a b"
    assert title_of("word " * 20) == "word word word word word word word word word word word…"
    assert len(title_of("x" * 200)) == 60


MOVES = ("submit", "submit", *["step"] * 12, "block", "fail", "lose", "time_out", "cancel", "retry")


@given(st.lists(st.tuples(st.sampled_from(MOVES), st.integers(0, 3)), min_size=20, max_size=80), st.integers(1, 4))
def test_in_any_history_turns_do_not_overlap_and_messages_have_no_hole(
    moves: list[tuple[str, int]], batch: int
) -> None:
    story, first = Story(), turn("0")
    asked, waiting = [first], [first]
    for move, number in moves:
        waiting.append(_event(story, move, number, asked))
        if len(waiting) >= batch:
            story.fold(*waiting)
            waiting.clear()
    story.fold(*waiting)
    _check(story, asked)


def _event(story: Story, move: str, number: int, asked: list[Turn]) -> Turn:
    """Something that happens to one of the latest turns."""
    if move == "submit":
        asked.append(turn(str(len(asked)), asked[0].sessionid))
        return asked[-1]
    cause = asked[-1 - number % len(asked)]
    known = {key.id for key in story.states}
    if cause.taskid not in known or move == "block":
        return checked(cause, "block" if move == "block" else "allow")
    task = story.task(cause.taskid)
    error = TaskError(code="x", message="x", retryable=move == "lose")
    if move in ("fail", "lose"):
        return ended(cause, outcome="failed", attempt=task.attempt, error=error)
    if move in ("time_out", "cancel", "retry"):
        return control(cause, move)
    steps: dict[str, Callable[[], Turn]] = {
        "ready": lambda: working(cause, task.attempt)[0],
        "assigned": lambda: working(cause, task.attempt)[1],
        "running": lambda: ended(cause, attempt=task.attempt),
        "waiting": lambda: control(cause, "retry", attempt=task.attempt),
    }
    return steps.get(task.status, lambda: checked(cause))()


def _check(story: Story, asked: list[Turn]) -> None:
    said = story.said()
    assert [message.seq for message in said] == list(range(1, len(said) + 1))
    assert len({message.message_id for message in said}) == len(said)
    assert [message.content for message in said if message.role == "user"] == sorted(
        (message.content for message in said if message.role == "user"), key=int
    )
    for before, message in pairwise(said):
        if message.role == "assistant":
            assert (before.role, before.task_id) == ("user", message.task_id)
    at_work = None
    for event in story.published:
        data = event.data
        if isinstance(data, MessageAppended) and data.role == "user":
            assert at_work in (None, data.task_id)
        if not isinstance(data, TaskEntered):
            continue
        if data.status == "ready":
            assert at_work in (None, data.task_id)
            at_work = data.task_id
        elif data.status in FINAL and data.task_id == at_work:
            at_work = None
    head = story.session(asked[0].sessionid).turns[:1]
    if head:
        task = story.task(head[0])
        assert task.status not in FINAL
        assert (task.status, task.reason) != ("waiting", "session_busy")
