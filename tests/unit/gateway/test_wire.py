"""The short way out of a WebSocket."""

import asyncio
from types import SimpleNamespace

from websockets.protocol import State

from gateway.live.protocol import Wire, WireOutlet


class Transport:
    """As uvloop's: writing to it after it closed is an error, and it closes before it says so."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closing = False

    def is_closing(self) -> bool:
        return self.closing

    def write(self, data: bytes) -> None:
        if self.closing:
            raise RuntimeError("the handler is closed")
        self.written.append(data)


def wire() -> tuple[Wire, Transport]:
    made, transport = Wire.__new__(Wire), Transport()
    loop, conn = asyncio.get_running_loop(), SimpleNamespace(state=State.OPEN)
    made.__dict__ |= {"transport": transport, "close_sent": False, "conn": conn, "loop": loop}
    return made, transport


async def a_turn_of_the_loop() -> None:
    await asyncio.sleep(0)


async def test_what_is_put_in_one_turn_of_the_loop_is_one_write() -> None:
    made, transport = wire()
    outlet = WireOutlet(made)
    outlet.put(b"one")
    outlet.put(b"two")
    assert not transport.written
    await a_turn_of_the_loop()
    assert transport.written == [b"onetwo"]


async def test_nothing_is_written_to_a_transport_that_has_closed() -> None:
    made, transport = wire()
    outlet = WireOutlet(made)
    outlet.put(b"seen")
    await a_turn_of_the_loop()
    outlet.put(b"on its way")
    transport.closing = True
    outlet.put(b"into the void")
    await a_turn_of_the_loop()
    assert transport.written == [b"seen"]


async def test_nothing_is_written_after_a_close_frame() -> None:
    made, transport = wire()
    made.conn.state = State.CLOSING
    WireOutlet(made).put(b"late")
    await a_turn_of_the_loop()
    assert not transport.written
