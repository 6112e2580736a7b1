"""Who takes what waits, however slowly, is not sent away; who takes nothing for ten seconds is."""

from dataclasses import dataclass
from typing import cast

from gateway.http.protocol import HttpWire, Line
from gateway.live.outlet import STALLED_AFTER, QueueOutlet
from gateway.live.protocol import Wire, WireOutlet
from gateway.live.replay import Replayer
from gateway.live.sockets import Connection, Sockets
from gateway.live.sse import Streams
from gateway.metrics import Metrics

LATER = STALLED_AFTER + 1


@dataclass
class Transport:
    """Of a reader who takes as much as a test says."""

    unsent: int = 100_000

    def get_write_buffer_size(self) -> int:
        return self.unsent


class Fake:
    """As much of a protocol as is asked here."""

    def __init__(self) -> None:
        self.transport = Transport()
        self.ended: list[int] = []

    def end(self, code: int, _: str) -> None:
        self.ended.append(code)


class Socket(Connection):
    def beat(self) -> bytes:
        return b""

    def farewell(self) -> bytes:
        return b""


class Quiet(Line):
    def give_up(self) -> None: ...


async def test_a_socket_whose_reader_takes_a_little_stays_open() -> None:
    fake = Fake()
    outlet = WireOutlet(cast("Wire", fake))
    outlet.pause(0.0)
    sockets, socket = Sockets(Metrics(), ()), Socket(outlet)
    for now, unsent in ((1, 100_000), (LATER, 90_000), (2 * LATER - 2, 90_000)):
        fake.transport.unsent = unsent
        await sockets._look_at((socket,), now)
        assert fake.ended == []
    await sockets._look_at((socket,), 2 * LATER)
    assert fake.ended == [4408]


async def test_a_stream_whose_reader_takes_a_little_stays_open() -> None:
    fake = Fake()
    outlet, line = QueueOutlet(), Quiet(cast("HttpWire", fake))
    line.pause(0.0)
    streams = Streams(cast("Replayer", None), Metrics())
    with streams.held(outlet, line):
        for now, unsent in ((1, 100_000), (LATER, 90_000), (2 * LATER - 2, 90_000)):
            fake.transport.unsent = unsent
            streams._look_at_all(now)
            assert outlet.closing is None
        streams._look_at_all(2 * LATER)
    assert outlet.closing is not None
    assert outlet.closing.code == 4408
