"""The golden vectors of the NATS binding: our reader against them, and the `cloudevents` SDK as a second opinion."""

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_binary_event, from_structured_event
from pydantic import BaseModel, JsonValue

from events.codec import attributes_in, is_structured, lowered
from events.errors import GanglionError
from gateway.auth.sender import Sender
from gateway.door.arrival import Arrival, data_of, structured

FILE = Path(__file__).with_name("vectors") / "nats-binding.json"
SENDER = Sender("user", "acme", "alice", frozenset(), 0.0)

Json = dict[str, JsonValue]


class Vector(BaseModel):
    name: str
    headers: dict[str, str] | None
    body: str | None = None
    body_base64: str | None = None
    event: Json | None = None
    error: str | None = None

    @property
    def bytes(self) -> bytes:
        return base64.b64decode(self.body_base64) if self.body_base64 else (self.body or "").encode()


VECTORS = [Vector.model_validate(item) for item in json.loads(FILE.read_text())]
GOOD = [vector for vector in VECTORS if vector.event is not None]


def read(vector: Vector) -> Arrival:
    """As the door reads a request."""
    headers = vector.headers or {}
    if is_structured(headers):
        return Arrival.read(SENDER, structured(vector.bytes))
    return Arrival.read(SENDER, {**attributes_in(lowered(headers)), "data": data_of(vector.bytes)})


def told(vector: Vector) -> Json:
    """The attributes and data that were read, as the vectors have them."""
    said = read(vector).attributes
    shown = said.model_dump(mode="json", exclude={"extensions"}, exclude_unset=True)
    return {**shown, **said.extensions}


@pytest.mark.parametrize("vector", GOOD, ids=lambda vector: vector.name)
def test_an_event_is_read_as_it_is_meant(vector: Vector) -> None:
    assert _comparable(told(vector)) == _comparable(vector.event or {})


@pytest.mark.parametrize("vector", [v for v in VECTORS if v.error is not None], ids=lambda vector: vector.name)
def test_what_is_no_event_is_refused(vector: Vector) -> None:
    with pytest.raises(GanglionError) as refused:
        read(vector)
    assert refused.value.code == vector.error


@pytest.mark.parametrize("vector", GOOD, ids=lambda vector: vector.name)
def test_the_sdk_reads_the_same(vector: Vector) -> None:
    message = HTTPMessage(vector.headers or {}, vector.bytes)
    event = (from_structured_event if is_structured(vector.headers) else from_binary_event)(message)
    attributes = {name: value for name, value in event.get_attributes().items() if name in (vector.event or {})}
    assert _comparable({**attributes, "data": event.get_data()}) == _comparable(vector.event or {})


def test_every_vector_has_one_meaning_and_a_name_of_its_own() -> None:
    assert len({vector.name for vector in VECTORS}) == len(VECTORS) > 30
    assert all((vector.event is None) != (vector.error is None) for vector in VECTORS)


def _comparable(event: Mapping[str, object]) -> Mapping[str, object]:
    """A time is a moment, however it is written."""
    time = event.get("time")
    return event if time is None else {**event, "time": datetime.fromisoformat(str(time)).isoformat()}
