"""Whatever arrives from outside is read or refused, and never breaks anything."""

import contextlib
import json
import time

from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from events.errors import InvalidEventError
from gateway.auth.sender import Sender
from gateway.door.arrival import OURS, Arrival, structured
from gateway.errors import BadJsonError, InvalidBodyError

REFUSALS = (BadJsonError, InvalidBodyError, InvalidEventError)
ALICE = Sender("user", "acme", "alice", frozenset({"tasks:write"}), 4_000_000_000.0)
NAMES = ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "sessionid", "data", "color"]

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
events = st.dictionaries(st.sampled_from([*NAMES, *OURS]) | st.text(max_size=24), values, max_size=14)
good = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data": {}}


def read(event: object) -> Arrival | None:
    try:
        return Arrival.read(ALICE, structured(json.dumps(event).encode()))
    except REFUSALS:
        return None


@given(events | values)
def test_anything_is_an_event_or_a_refusal(event: JsonValue) -> None:
    read(event)


@given(events)
def test_what_is_ours_to_stamp_never_gets_through(event: dict[str, JsonValue]) -> None:
    arrival = read({**event, **good})
    if arrival is not None:
        assert not set(arrival.attributes.extensions) & OURS
        assert {"producersource", "producerid", "producerdigest"} <= set(arrival.stamps)


def test_null_is_as_good_as_absent() -> None:
    """CloudEvents' JSON format 1.0.2, 2.2."""
    absent = dict.fromkeys(("subject", "time", "datacontenttype", "dataschema", "sessionid", "traceparent", "color"))
    arrival = read({**good, **absent})
    assert arrival is not None
    assert arrival.attributes.extensions == {}


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_no_two_events_of_two_senders_or_sources_share_an_id(one: str, two: str, three: str, four: str) -> None:
    arrivals = [read({**good, "source": source, "id": event_id}) for source, event_id in ((one, two), (three, four))]
    if None not in arrivals and (one, two) != (three, four):
        assert len({arrival.event_id for arrival in arrivals if arrival}) == 2


@given(st.binary(max_size=200))
def test_any_bytes_are_an_event_or_a_refusal(body: bytes) -> None:
    with contextlib.suppress(*REFUSALS):
        structured(body)


def test_a_sender_is_told_by_the_name_that_the_server_repeats() -> None:
    for sender in (ALICE, Sender.agent("acme", "AGENT-1", "gat_acme.x")):
        info = json.dumps({"acc": "OUTSIDE", "user": sender.user_name})
        again = Sender.from_headers({"Nats-Request-Info": info})
        assert (again.kind, again.tenant, again.name) == (sender.kind, sender.tenant, sender.name)
        assert (again.scopes, again.token_mark) == (sender.scopes, sender.token_mark)


def test_an_agents_line_is_asked_for_its_token_again_and_again() -> None:
    sender = Sender.agent("acme", "AGENT-1", "gat_acme.x")
    assert time.time() < sender.expires_at <= time.time() + 600
