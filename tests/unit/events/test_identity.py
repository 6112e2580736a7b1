"""Ids, cursors, subjects and traces: what is derived is always the same, and what is hostile is refused."""

import re
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from events import STATE_EVENTS, Event, EventData, TaskReady, TaskSpec, TaskSubmitted, ids, trace
from events.cursor import Cursor, InvalidCursorError
from events.errors import InvalidIdError
from events.subjects import BUCKETS, bucket, filters_for, subject_of
from events.work import WorkAssigned, WorkStopped
from tests.support.payloads import NAMES, TEXT, events

PARTS = st.lists(st.text(max_size=8) | st.integers(), max_size=3)
EPOCHS = st.from_regex(r"[0-9a-z]{1,24}", fullmatch=True)
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
HOSTILE = ["", "*", ">", "..", "a.b", "a/b", "a b", "a\n", "\n", "a\0", "é", "٣", "x" * 65, "%2e", "a:b", "~"]


@given(st.text(max_size=20), PARTS)
def test_a_derived_id_is_the_same_each_time(cause: str, parts: list[str | int]) -> None:
    assert ids.derived_id(cause, *parts) == ids.derived_id(cause, *parts)
    assert ids.derived_text(cause, *parts) == str(ids.derived_id(cause, *parts))
    assert UUID(ids.derived_text(cause, *parts)).version == 5


@given(st.uuids(), st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 12)), min_size=2, max_size=8, unique=True))
def test_other_parts_give_another_id(cause: UUID, parts: list[tuple[str, int]]) -> None:
    assert len({ids.derived_id(cause, *both) for both in parts}) == len(parts)


def test_new_ids_sort_by_time() -> None:
    drawn = [ids.new_id() for _ in range(100)]
    assert drawn == sorted(set(drawn))


@given(st.text(max_size=70))
@example("a\n")
def test_only_plain_names_are_taken(value: str) -> None:
    if NAME.fullmatch(value):
        assert ids.checked_name(value, "id") == value
        assert TypeAdapter(ids.Name).validate_python(value) == value
    else:
        with pytest.raises(InvalidIdError):
            ids.checked_name(value, "id")
        with pytest.raises(ValidationError):
            TypeAdapter(ids.Name).validate_python(value)


@pytest.mark.parametrize("value", HOSTILE)
def test_what_could_be_a_wildcard_or_a_path_is_no_name(value: str) -> None:
    with pytest.raises(InvalidIdError):
        ids.checked_name(value, "id")


@given(EPOCHS, st.integers(0, 10**18 - 1))
def test_a_cursor_reads_what_it_writes(epoch: str, seq: int) -> None:
    assert Cursor.parse(str(Cursor(epoch, seq))) == Cursor(epoch, seq)


@given(st.lists(st.tuples(st.integers(0, 2**47), st.integers(0, 2**60)), max_size=5))
def test_cursors_sort_as_the_log_grew(places: list[tuple[int, int]]) -> None:
    cursors = [Cursor(f"{epoch:012x}", seq) for epoch, seq in places]
    assert [str(c) for c in sorted(cursors)] == [f"{e:012x}-{s}" for e, s in sorted(places)]
    assert all(Cursor.parse("0") <= cursor for cursor in cursors)


GARBAGE = [
    "",
    "-",
    "1",
    "00",
    "-1",
    "a-",
    "a-b",
    "A-1",
    "a-1 ",
    "a-1\n",
    " a-1",
    "a--1",
    "a-1-1",
    "a-٣",
    "a-" + "1" * 20,
]


@pytest.mark.parametrize("text", [*GARBAGE, "a-" + "1" * 20, "x" * 25 + "-1", "a\0-1", "0-", "é-1"])
def test_garbage_is_no_cursor(text: str) -> None:
    with pytest.raises(InvalidCursorError):
        Cursor.parse(text)


@given(TEXT)
def test_no_text_makes_the_cursor_do_anything_else(text: str) -> None:
    try:
        cursor = Cursor.parse(text)
    except InvalidCursorError:
        return
    assert text in ("0", str(cursor))


@given(events())
def test_a_subject_has_five_tokens_and_no_wildcard(event: Event[EventData]) -> None:
    tokens = subject_of(event).split(".")
    if isinstance(event.data, WorkAssigned | WorkStopped):
        assert tokens == [event.data.subject_root, event.tenantid, event.data.agent_id]
        assert filters_for(type(event.data)) == (f"{tokens[0]}.*.*",)
        return
    assert tokens[:4] == [event.data.subject_root, event.tenantid, event.data.aggregate, event.data.subject_name]
    assert len(tokens) == 5
    assert 0 <= int(tokens[4]) < BUCKETS
    assert not set(subject_of(event)) & set("*> \r\n\t\0")
    assert tokens[2:4] in [one.split(".")[2:4] for one in filters_for(type(event.data))]


@given(NAMES, st.uuids(), st.uuids())
def test_a_session_stays_in_one_bucket(session: str, task: UUID, other: UUID) -> None:
    assert bucket(session, task, str(task)) == bucket(session, other, str(other)) == bucket(session, None, "x")
    assert bucket(None, task, "x") == bucket(None, task, "y")


@given(st.text(max_size=60))
@example("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\n")
@example("00-00000000000000000000000000000000-b7ad6b7169203331-01")
@example("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01")
@example("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
def test_what_is_no_traceparent_is_dropped(text: str) -> None:
    assert trace.parse(text) is None
    assert trace.child(text, str(ids.new_id())) is None


def test_a_child_keeps_the_trace_and_has_its_own_span() -> None:
    parent = trace.start()
    one, two = (str(ids.derived_id("cause", name)) for name in ("one", "two"))
    child = trace.child(parent, one)
    assert trace.parse(child) == child == trace.child(parent, one)
    assert trace.trace_id(child) == trace.trace_id(parent)
    assert len({parent, child, trace.child(parent, two)}) == 3


def submitted(traceparent: str | None = None) -> Event[EventData]:
    task = UUID("0192f0c1-0000-7000-8000-000000000001")
    data = TaskSubmitted(task_id=task, spec=TaskSpec(prompt="x"))
    return Event.first(data, source="/g", tenant="t", owner="o", task_id=task, session_id="s", traceparent=traceparent)


def test_an_effect_carries_what_its_cause_carried() -> None:
    cause = submitted()
    data = STATE_EVENTS["ready"](task_id=cause.taskid, kind="goal", from_status="submitted", version=2, attempt=1)
    effect = cause.caused(data, source="/keeper", version=2)
    again = cause.caused(data, source="/keeper", version=2)
    assert isinstance(effect.data, TaskReady)
    assert effect.id == again.id != cause.caused(data, source="/keeper", index=1).id
    assert effect.id != cause.caused(data, source="/other").id != cause.caused(data, source="/other", seed="s").id
    assert (effect.correlationid, effect.causationid, effect.hopcount) == (cause.id, cause.id, 1)
    assert (effect.tenantid, effect.ownerid, effect.sessionid, effect.taskid) == ("t", "o", "s", cause.taskid)
    assert trace.trace_id(effect.traceparent) == trace.trace_id(cause.traceparent)
    assert effect.caused(data, source="/x").hopcount == 2


def test_a_forged_trace_does_not_travel_on() -> None:
    cause = submitted("my own idea of a trace")
    assert cause.caused(cause.data, source="/x").traceparent is None
