"""One event as a subscriber sees it: one encoder for the live stream, the replay and the history."""

from dataclasses import dataclass
from datetime import datetime
from functools import cache

import orjson

from events.base import CATALOGUE
from events.cursor import Cursor
from events.task import FINAL, STATE_EVENTS

_FINAL_EVENTS = frozenset(f"task.{status}" for status in FINAL)
_STATE_EVENTS = frozenset(f"task.{status}" for status in STATE_EVENTS)


@dataclass(frozen=True, slots=True)
class Envelope:
    """What decides who may see an event, and whether it was shown before."""

    event: str
    identity: tuple[str, str]
    tenant: str
    owner: str
    task_id: str | None
    attributes: dict[str, object]

    @property
    def is_final(self) -> bool:
        """Whether the event ends a task."""
        return self.event in _FINAL_EVENTS

    @property
    def is_state(self) -> bool:
        """Whether the event says which state a task entered."""
        return self.event in _STATE_EVENTS


@dataclass(frozen=True, slots=True)
class Frame:
    """An event at its place. `tail` is its JSON object without the opening brace, so that a receiver's own
    members can be put in front without encoding the rest again.
    """

    cursor: Cursor
    envelope: Envelope
    tail: str
    size: int


def read_envelope(body: bytes) -> Envelope | None:
    """The envelope of a structured-mode event; None for what subscribers never see: re-sends and poison."""
    try:
        attributes = orjson.loads(body)
        name = _event_name(attributes["type"])
        if name is None or "resendof" in attributes:
            return None
        return Envelope(
            name,
            (attributes["source"], attributes["id"]),
            attributes["tenantid"],
            attributes["ownerid"],
            attributes.get("taskid"),
            attributes,
        )
    except (ValueError, KeyError, TypeError):
        return None


def make_frame(envelope: Envelope, cursor: Cursor, stored_at: datetime) -> Frame:
    """Encode an event once for all its receivers. `stored_at` stands in for an event without a time."""
    attributes = envelope.attributes
    shown = {
        "cursor": str(cursor),
        "event": envelope.event,
        "time": attributes.get("time") or stored_at,
        "subject": attributes.get("subject"),
        "data": attributes.get("data"),
    }
    encoded = orjson.dumps(shown)[1:]
    return Frame(cursor, envelope, encoded.decode(), len(encoded))


@cache
def _event_name(event_type: str) -> str | None:
    """`task.running` of `io.ganglion.task.running.v1`, or None for a type that is not in the catalogue."""
    payload = CATALOGUE.get(event_type)
    return f"{payload.aggregate}.{payload.event_name}" if payload else None
