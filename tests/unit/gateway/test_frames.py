"""One encoder for all readers, and what none of them sees."""

import json
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from events.base import Event
from events.codec import encode
from events.cursor import Cursor
from events.task import TaskControl, TaskSucceeded
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
