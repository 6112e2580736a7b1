"""Our client hears what nats-py would, however the bytes were cut on the way; a sink that raises ends nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import (
    BadSubjectError,
    ConnectionClosedError,
    ConnectionDrainingError,
    Error,
    MaxPayloadError,
    ProtocolError,
)

from events.codec import CONTENT_TYPE, MSG_ID, STRUCTURED
from producers.client import BusClient, Sink

SUNK, QUEUED = 1, 2
OURS = f"NATS/1.0\r\n{MSG_ID}: 0b7c\r\n{CONTENT_TYPE}: {STRUCTURED}\r\n\r\n".encode()
HEADERS = (
    OURS,
    OURS.replace(b"0b7c", b" spaced  out "),
    OURS.replace(b"0b7c", b""),
    OURS.replace(b"0b7c", b"\xc3\xa9\xff"),
    OURS.replace(b"0b7c", b"1\r\nce-specversion: 1.0"),
    OURS.replace(b"0b7c", b"1\nX: y"),
    OURS[:-2] + b"more:x\r\n\r\n",
    b"NATS/1.0\r\nX: y\r\n\r\n",
    b"NATS/1.0 100 Idle Heartbeat\r\n\r\n",
    b"NATS/1.0 409 Gone\r\nNats-Pending-Messages: 3\r\n\r\n",
)
Heard = tuple[str, str, bytes, dict[str, str] | None]


def wire(sid: int, headers: bytes, reply: bytes, body: bytes) -> bytes:
    """A message as the server sends it."""
    names = b" ".join(filter(None, (b"bus.t.x", str(sid).encode(), reply)))
    if not headers:
        return b"MSG %s %d\r\n%s\r\n" % (names, len(body), body)
    return b"HMSG %s %d %d\r\n%s%s\r\n" % (names, len(headers), len(headers) + len(body), headers, body)


MESSAGES = st.builds(
    wire,
    st.sampled_from([SUNK, SUNK, SUNK, QUEUED]),
    st.sampled_from([b"", OURS, *HEADERS]),
    st.sampled_from([b"", b"$JS.ACK.BUS.x.1.2.3.4.5"]),
    st.sampled_from([b"", b"{}", b"\r\nMSG bus.t.x 1 5\r\nhello\r\n", bytes(range(256))]),
)
LINES = st.lists(st.one_of(MESSAGES, MESSAGES, MESSAGES, st.just(b"+OK\r\n")), max_size=12)


def heard_of(message: Msg) -> Heard:
    return message.subject, message.reply, message.data, message.headers


async def listening(client: Client) -> dict[int, Subscription]:
    """Two subscriptions that nobody takes from."""
    found = {sid: Subscription(client, sid, "bus.>") for sid in (SUNK, QUEUED)}
    client._subs.update(found)
    return found


async def read(client: Client, reads: Sequence[bytes]) -> None:
    for one in reads:
        await client._ps.parse(one)


def waiting(subscription: Subscription) -> list[Heard]:
    queue = subscription._pending_queue
    return [heard_of(queue.get_nowait()) for _ in range(queue.qsize())]


async def both(reads: Sequence[bytes]) -> tuple[list[list[Heard]], list[list[Heard]]]:
    """What nats-py has heard after these reads, and what we have, by subscription."""
    theirs, ours, sunk = Client(), BusClient(), list[Heard]()
    in_theirs, in_ours = await listening(theirs), await listening(ours)
    ours.sinks[SUNK] = lambda message: sunk.append(heard_of(message))
    await read(theirs, [b"".join(reads)])
    await read(ours, reads)
    assert not waiting(in_ours[SUNK])
    return [waiting(in_theirs[SUNK]), waiting(in_theirs[QUEUED])], [sunk, waiting(in_ours[QUEUED])]


@given(LINES, st.lists(st.integers(0, 5_000), max_size=6))
def test_what_is_heard_is_what_nats_py_hears(lines: list[bytes], cuts: list[int]) -> None:
    sent = b"".join(lines)
    places = sorted({0, len(sent), *(cut % (len(sent) + 1) for cut in cuts)})
    theirs, ours = asyncio.run(both([sent[a:b] for a, b in pairwise(places)]))
    assert ours == theirs


def test_a_message_may_be_cut_anywhere() -> None:
    sent = wire(SUNK, OURS, b"r", b"{}") + wire(SUNK, b"", b"", b"MSG bus.t.x 1 5\r\nhello\r\n")
    for place in range(len(sent)):
        theirs, ours = asyncio.run(both([sent[:place], sent[place:]]))
        assert ours == theirs


@pytest.mark.parametrize("headers", HEADERS)
def test_headers_are_those_that_nats_py_reads(headers: bytes) -> None:
    theirs, ours = asyncio.run(both([wire(SUNK, headers, b"r", b"{}")]))
    assert ours == theirs
    assert len(theirs[0]) == 1


async def heard_by(sink: Sink, reads: Sequence[bytes]) -> None:
    client = BusClient()
    await listening(client)
    client.sinks[SUNK] = sink
    await read(client, reads)


def test_a_sink_that_raises_hears_the_next_message() -> None:
    heard: list[bytes] = []

    def sink(message: Msg) -> None:
        heard.append(message.data)
        raise ValueError

    asyncio.run(heard_by(sink, [wire(SUNK, OURS, b"r", b"1") + wire(SUNK, OURS, b"r", b"2")]))
    assert heard == [b"1", b"2"]


@pytest.mark.parametrize(
    "line",
    [
        b"MSG bus.t.x one 2\r\n{}\r\n",
        b"HMSG bus.t.x 1 2\r\n{}\r\n",
        b"HMSG bus.t.x 1 two 2\r\n{}\r\n",
        b"NONSENSE\r\n",
    ],
)
def test_what_is_no_message_is_judged_by_nats_py(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        asyncio.run(heard_by(lambda _: None, [line]))


@pytest.mark.parametrize("space", [b"\v", b"\f", b"\t", b"\x1c", b"\x00"])
@pytest.mark.parametrize("kind", ["whole", "cut"])
def test_who_chooses_a_subject_does_not_choose_the_subscription(space: bytes, kind: str) -> None:
    """`x\v1` as the end of a subject: to nats-py a subject, and the number of the subscription."""
    sent = wire(QUEUED, b"", b"", b"{}").replace(b"bus.t.x", b"bus.t.x%b%d" % (space, SUNK))
    sent += wire(QUEUED, OURS, b"", b"{}").replace(b"bus.t.x", b"bus.t.x%b%d" % (space, SUNK))
    _, (sunk, queued) = asyncio.run(both([sent] if kind == "whole" else [sent[:20], sent[20:60], sent[60:]]))
    assert not sunk
    assert [subject for subject, *_ in queued] == [f"bus.t.x{space.decode()}{SUNK}"] * 2


WHO, LIE = b'Nats-Request-Info: {"user":"alice"}\r\n', b'Nats-Request-Info: {"user":"bob"}'


@pytest.mark.parametrize(
    ("lines", "who"),
    [
        (WHO, "alice"),
        (b"A: 1\r\n" + LIE + b"\r\n" + WHO, "alice"),
        (b"", None),
        (LIE + b"\r\nA: 1" + WHO, None),
        (b" " + LIE + b"\r\nA: 1" + WHO, None),
        (b" " + WHO, None),
        (b"nats-request-info: {}\r\n" + WHO, "alice"),
        (LIE + b"\r\n\r\n" + WHO, "alice"),
        (LIE + WHO, "garbled"),
    ],
)
def test_only_the_server_says_who_asks(lines: bytes, who: str | None) -> None:
    """Its line is the last one, or the end of one that a client left open."""

    async def read_headers() -> dict[str, str]:
        return await BusClient()._process_headers(b"NATS/1.0\r\n" + lines + b"\r\n") or {}

    said = asyncio.run(read_headers()).get("Nats-Request-Info")
    assert said == {"alice": '{"user":"alice"}', "garbled": '{"user":"bob"}' + WHO.decode().rstrip(), None: None}[who]


UNREADABLE = {
    "a subject": wire(SUNK, OURS, b"r", b"1").replace(b"bus.t.x", b"bus.t.\xff"),
    "a reply": wire(SUNK, OURS, b"\xff", b"1"),
    "a status": wire(SUNK, b"NATS/1.0 \xff\xff\xff\r\n\r\n", b"r", b"1"),
    "a description": wire(SUNK, b"NATS/1.0 503 \xff\r\n\r\n", b"r", b"1"),
    "no block of headers": wire(SUNK, b"NATS", b"r", b"1"),
    "an empty block": wire(SUNK, b"NATS/1.0", b"r", b"1"),
}


@pytest.mark.parametrize("sid", [SUNK, QUEUED])
@pytest.mark.parametrize("sent", UNREADABLE.values(), ids=UNREADABLE)
def test_what_nobody_can_read_of_a_message_costs_neither_it_nor_the_next(sent: bytes, sid: int) -> None:
    """nats-py raises, and with that its reading ends: the connection is deaf until a ping is missed."""
    heard: list[bytes] = []
    reads = sent.replace(b" %d " % SUNK, b" %d " % sid, 1) + wire(sid, OURS, b"r", b"2")

    async def hear() -> None:
        client = BusClient()
        subscription = (await listening(client))[sid]
        if sid == SUNK:
            client.sinks[SUNK] = lambda message: heard.append(message.data)
        await read(client, [reads])
        heard.extend(data for _, _, data, _ in waiting(subscription))

    asyncio.run(hear())
    assert heard == [b"1", b"2"]


class Line:
    """Keeps what is written to the server."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def writelines(self, parts: list[bytes]) -> None:
        self.written += parts

    async def drain(self) -> None:
        """Nothing is in the way."""


async def written(client: Client, publish: Callable[[], Awaitable[None]]) -> bytes:
    """What a connected client writes."""
    line = Line()
    client._status, client._max_payload = Client.CONNECTED, 1_000
    client._transport, client._flush_queue = line, asyncio.Queue()  # type: ignore[assignment]  # it does what is used
    client._flusher_task = asyncio.create_task(client._flusher())
    await publish()
    await asyncio.sleep(0)
    client._flusher_task.cancel()
    return b"".join(line.written)


async def both_write(message_id: str, body: bytes) -> tuple[bytes, bytes]:
    theirs, ours = Client(), BusClient()
    headers = {MSG_ID: message_id, CONTENT_TYPE: STRUCTURED}
    return (
        await written(theirs, lambda: theirs.publish("bus.t.x", body, "_INBOX.a.1", headers=headers)),
        await written(ours, lambda: ours.put("bus.t.x", body, message_id, reply="_INBOX.a.1")),
    )


@given(st.text(), st.binary())
def test_what_is_put_is_what_nats_py_writes(message_id: str, body: bytes) -> None:
    theirs, ours = asyncio.run(both_write(message_id, body))
    assert ours == theirs != b""


async def put_by(status: int, subject: str, body: bytes) -> None:
    client = BusClient()
    client._status, client._max_payload = status, 1_000
    await client.put(subject, body, "1")


@pytest.mark.parametrize(
    ("status", "subject", "body", "error"),
    [
        (Client.CONNECTED, "bus.t x", b"", BadSubjectError),
        (Client.CONNECTED, "bus.t\r\nPUB x 0", b"", BadSubjectError),
        (Client.CONNECTED, "", b"", BadSubjectError),
        (Client.CONNECTED, "bus.t.x", bytes(1_001), MaxPayloadError),
        (Client.CLOSED, "bus.t.x", b"", ConnectionClosedError),
        (Client.DRAINING_PUBS, "bus.t.x", b"", ConnectionDrainingError),
    ],
)
def test_what_nats_py_would_not_write_is_not_put(status: int, subject: str, body: bytes, error: type[Error]) -> None:
    with pytest.raises(error):
        asyncio.run(put_by(status, subject, body))


async def unsubscribed() -> list[bytes]:
    client, heard = BusClient(), list[bytes]()
    subscription = (await listening(client))[SUNK]
    client.sinks[SUNK] = lambda message: heard.append(message.data)
    client._remove_sub(subscription._id)
    await read(client, [wire(SUNK, OURS, b"r", b"late")])
    return heard


def test_nobody_hears_what_comes_after_the_subscription_has_ended() -> None:
    assert asyncio.run(unsubscribed()) == []
