"""One event as a subscriber sees it: one encoder for the live stream, the replay and the history."""

from dataclasses import dataclass
from datetime import datetime
from functools import cache

import orjson

from events.base import CATALOGUE
from events.cursor import Cursor
from events.run import RUN_EVENTS
from events.task import FINAL, STATE_EVENTS
from gateway.live.rooms import Ids, keys_of

_FINAL_EVENTS = frozenset(f"task.{status}" for status in FINAL)
_STATE_EVENTS = frozenset(f"task.{status}" for status in STATE_EVENTS)
SETTLED = frozenset(f"proposal.{state}" for state in ("pending", "approved", "rejected", "superseded", "expired"))
"""From these on GET shows what became of a refinement."""
PLANNED = frozenset({"task.decomposed", "task.undecomposed"})
"""The planner's answers; the keeper takes or refuses them next."""
_HIDDEN = {
    "agent.registered": ("token_hash",),
    "task.checked": ("sealed",),
    **{f"run.{fact.event_name}": ("sealed",) for fact in RUN_EVENTS},
}
"""Members of an event's data that no subscriber sees, not even its owner."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What decides who may see an event, and whether it was shown before."""

    event: str
    identity: tuple[str, str]
    tenant: str
    owner: str
    ids: Ids
    attributes: dict[str, object]

    @property
    def is_state(self) -> bool:
        """Whether the event says which state a task entered."""
        return self.event in _STATE_EVENTS

    @property
    def is_final(self) -> bool:
        """Whether the event ends a task."""
        return self.event in _FINAL_EVENTS


class Frame:
    """An event at its place, in the rooms that `keys` name. `tail` is its JSON object without the opening brace, so
    that a receiver's own members can be put in front without encoding the rest again.
    """

    __slots__ = ("_made", "_streamed", "cursor", "event", "ids", "is_final", "is_state", "keys", "size", "tail", "was")

    def __init__(self, envelope: Envelope, cursor: Cursor, tail: bytes, was: tuple[Cursor, ...] = ()) -> None:
        self.cursor = cursor
        self.was = was
        self.event = envelope.event
        self.ids = envelope.ids
        self.keys = keys_of(envelope.event, envelope.tenant, envelope.owner, envelope.ids)
        self.is_state = envelope.is_state
        self.is_final = envelope.is_final
        self.tail = tail
        self.size = len(tail)
        self._made: tuple[object, bytes] = (None, b"")
        self._streamed = b""

    def as_text(self, head: bytes) -> bytes:
        """The bytes of a WebSocket message that begins with `head`; made once for receivers that share a head."""
        made = self._made
        if made[0] is not head and made[0] != head:
            made = self._made = (head, text_message(head + self.tail))
        return made[1]

    def as_message(self) -> bytes:
        """The bytes of a server-sent event; made once for all receivers."""
        if not self._streamed:
            place = (str(self.cursor).encode(), self.event.encode(), self.tail)
            self._streamed = b"id: %s\nevent: %s\ndata: {%s\n\n" % place
        return self._streamed

    def data(self) -> dict[str, object]:
        """The whole object: cursor, event, time, subject and data."""
        decoded: dict[str, object] = orjson.loads(b"{" + self.tail)
        return decoded


def read_envelope(body: bytes) -> Envelope | None:
    """The envelope of a structured-mode event; None for what subscribers never see: re-sends and poison."""
    try:
        attributes = orjson.loads(body)
        name = _event_name(attributes["type"])
        if name is None or "resendof" in attributes:
            return None
        return Envelope(
            name,
            (_text(attributes["source"]), _text(attributes["id"])),
            _text(attributes["tenantid"]),
            _text(attributes["ownerid"]),
            Ids(_text_or_none(attributes, "taskid"), _text_or_none(attributes, "sessionid"), _agent_of(attributes)),
            attributes,
        )
    except (ValueError, KeyError, TypeError):
        return None


def make_frame(envelope: Envelope, cursor: Cursor, stored_at: datetime, was: tuple[Cursor, ...] = ()) -> Frame:
    """Encode an event once for all its receivers. `stored_at` stands in for an event without a time; `was` are its
    places in logs that are lost.

    Raises TypeError for data that is nested deeper than 250 levels: no consumer of ours reads that either.
    """
    attributes = envelope.attributes
    data = attributes.get("data")
    if envelope.event in _HIDDEN and isinstance(data, dict):
        data = {name: value for name, value in data.items() if name not in _HIDDEN[envelope.event]}
    shown = {
        "cursor": str(cursor),
        "event": envelope.event,
        "time": attributes.get("time") or stored_at,
        "subject": attributes.get("subject"),
        "data": data,
    }
    return Frame(envelope, cursor, orjson.dumps(shown)[1:], was)


def text_message(payload: bytes) -> bytes:
    """One unfragmented text message from a server, without extensions (RFC 6455, 5.2)."""
    size = len(payload)
    if size < 126:
        return b"\x81" + size.to_bytes(1, "big") + payload
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("a text is expected")
    return value


def _text_or_none(attributes: dict[str, object], name: str) -> str | None:
    value = attributes.get(name)
    return None if value is None else _text(value)


def _agent_of(attributes: dict[str, object]) -> str | None:
    data = attributes["data"]
    agent = data.get("agent_id") if isinstance(data, dict) else None
    return agent if isinstance(agent, str) else None


@cache
def _event_name(event_type: str) -> str | None:
    """`task.running` of `io.ganglion.task.running.v1`, or None for a type that is not in the catalogue."""
    payload = CATALOGUE.get(event_type)
    return f"{payload.aggregate}.{payload.event_name}" if payload else None
