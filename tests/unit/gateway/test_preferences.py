"""Prefer: wait and Idempotency-Key, as clients write them."""

import pytest
from starlette.requests import Request

from gateway.auth.bearer import Principal
from gateway.http.preferences import read_key, read_wait, wants_stream

ALICE = Principal("acme", "alice", frozenset(), 0)


def request(**headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "headers": raw})


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        *(("wait=5", 5), ("wait = 7", 7), ('wait="9"', 9), ("respond-async, wait=10", 10), ("wait=3; x=1", 3)),
        *(("wait=61", 60), ("wait=999999", 60), ("wait=3153600000", 60), ("wait=0", 0), ("Wait=5", 5)),
        *(("", None), ("wait", None), ("wait=x", None), ("wait=-1", None), ("await=5", None), ("wait=1e3", None)),
    ],
)
def test_the_seconds_to_wait_are_read_or_ignored(value: str, seconds: int | None) -> None:
    assert read_wait(request(prefer=value)) == seconds


def test_several_headers_are_one_with_commas() -> None:
    raw = [(b"prefer", b"respond-async"), (b"prefer", b"wait=5"), (b"prefer", b"wait=7")]
    assert read_wait(Request({"type": "http", "method": "POST", "headers": raw})) == 5


def test_ids_follow_from_tenant_owner_route_and_key_and_from_nothing_else() -> None:
    bob, other = Principal("acme", "bob", frozenset(), 0), Principal("x", "alice", frozenset(), 0)
    keys = [
        read_key(request(idempotency_key=value), who, template, b"body")
        for who, template, value in (
            (ALICE, "/submit", "k"),
            (ALICE, "/submit", "k"),
            (ALICE, "/submit", "l"),
            (ALICE, "/other", "k"),
            (bob, "/submit", "k"),
            (other, "/submit", "k"),
        )
    ]
    ids = [key.subject_id for key in keys if key]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 5


def test_no_key_is_none() -> None:
    assert read_key(request(), ALICE, "/submit", b"") is None


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        *(("text/event-stream", True), ("Text/Event-Stream", True), ("text/event-stream;q=0.1", True)),
        *(("application/json, text/event-stream; charset=utf-8", True), ("text/event-stream,application/json", True)),
        *(("text/event-stream;q=0", False), ("text/event-stream ; Q=0.000", False), ("*/*", False), ("", False)),
        *(("text/event-stream;q=0, application/json", False), ("application/json;q=0, text/event-stream", True)),
        *(("text/event-streams", False), ("application/json", False)),
    ],
)
def test_a_stream_is_for_who_names_it_and_not_to_refuse_it(value: str, wanted: bool) -> None:  # noqa: FBT001 - of the table
    assert wants_stream(request(accept=value)) is wanted
