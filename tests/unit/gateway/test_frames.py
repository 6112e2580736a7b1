"""One encoder for all readers, and what none of them sees."""

import json
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from events.base import Event, EventData
from events.codec import encode
from events.cursor import Cursor
from events.run import RunFinished, RunProgress, RunToolCalled
from events.task import Sealed, TaskChecked, TaskControl, TaskSucceeded
from gateway.live.frames import make_frame, read_envelope

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_frame_shows_the_events_own_words() -> None:
    task_id = uuid4()
    data = TaskSucceeded(
        task_id=task_id, kind="goal", from_status="running", version=5, attempt=1, result={"text": "grüße 🐝"}
    )
    event = Event.first(data, source="/consumers/keeper", tenant="acme", owner="alice", task_id=task_id)
    envelope = read_envelope(encode(event))
    assert envelope is not None
    assert (envelope.is_state, envelope.is_final, envelope.ids.task) == (True, True, str(task_id))
    frame = make_frame(envelope, Cursor("e", 7), NOW)
    shown = json.loads(b"{" + frame.tail)
    assert frame.size == len(frame.tail)
    assert (shown["cursor"], shown["event"], shown["subject"]) == ("e-7", "task.succeeded", str(task_id))
    assert shown["data"]["result"] == {"text": "grüße 🐝"}
    assert datetime.fromisoformat(shown["time"]) == event.time


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00\xff",
        b"[]",
        b"{}",
        b'"x"',
        b'{"type": "io.ganglion.task.unknown.v1"}',
        b'{"type": 7}',
        b'{"type": []}',
    ],
)
def test_poison_is_shown_to_nobody(body: bytes) -> None:
    assert read_envelope(body) is None


def test_a_resend_is_shown_to_nobody() -> None:
    data = TaskControl(task_id=uuid4(), action="cancel", by="alice")
    event = Event.first(data, source="/gateway", tenant="acme", owner="alice")
    assert read_envelope(encode(event)) is not None
    assert read_envelope(encode(event.model_copy(update={"resendof": "x"}))) is None


def test_what_placeholders_stand_for_is_shown_to_nobody_even_sealed() -> None:
    task_id, sealed = uuid4(), {"SSN_1": Sealed(tag="0" * 32, value="key.sealed")}
    run = {"task_id": task_id, "run_id": uuid4(), "attempt": 1, "execution_id": uuid4(), "agent_id": "AGENT-1"}
    made: list[EventData] = [
        TaskChecked(task_id=task_id, decision="redact", rules_version="1", redacted={"goal": "[SSN_1]"}, sealed=sealed),
        RunProgress.model_validate({**run, "seq": 1, "note": "[SSN_1]", "sealed": sealed}),
        RunToolCalled.model_validate({**run, "seq": 1, "tool": "[SSN_1]", "sealed": sealed}),
        RunFinished.model_validate({**run, "outcome": "succeeded", "output": {"text": "[SSN_1]"}, "sealed": sealed}),
    ]
    for data in made:
        event = Event.first(data, source="/consumers/runner", tenant="acme", owner="alice", task_id=task_id)
        envelope = read_envelope(encode(event))
        assert envelope is not None
        shown = make_frame(envelope, Cursor("e", 7), NOW).data()
        assert "[SSN_1]" in str(shown)
        assert "sealed" not in str(shown), data.event_name
