"""The short way out of a WebSocket."""

from types import SimpleNamespace

from websockets.protocol import State

from gateway.wire import Wire, WireOutlet


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
    made.__dict__ |= {"transport": transport, "close_sent": False, "conn": SimpleNamespace(state=State.OPEN)}
    return made, transport


def test_nothing_is_written_to_a_transport_that_has_closed() -> None:
    made, transport = wire()
    outlet = WireOutlet(made)
    outlet.put(b"seen")
    transport.closing = True
    outlet.put(b"into the void")
    assert transport.written == [b"seen"]


def test_nothing_is_written_after_a_close_frame() -> None:
    made, transport = wire()
    made.conn.state = State.CLOSING
    WireOutlet(made).put(b"late")
    assert not transport.written
