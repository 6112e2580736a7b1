"""A socket on which nothing happens shows that it lives: every 20 s, in the second document's words every 30 s."""

from typing import cast

import pytest

from gateway.compat.operations import OperationsSocket
from gateway.live.protocol import WireOutlet
from gateway.live.sockets import Connection, Sockets
from gateway.live.ws import Socket
from gateway.metrics import Metrics


class Outlet:
    """What is put into it."""

    blocked = False

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def put(self, message: bytes) -> None:
        self.sent.append(message)


@pytest.mark.parametrize(
    ("kind", "every", "word"), [(Socket, 20.0, b'"type":"ping"'), (OperationsSocket, 30.0, b'"type":"heartbeat"')]
)
async def test_a_quiet_socket_shows_that_it_lives(kind: type[Connection], every: float, word: bytes) -> None:
    outlet, socket = Outlet(), object.__new__(kind)
    socket.outlet, socket.beaten_at = cast("WireOutlet", outlet), 0.0
    sockets = Sockets(Metrics(), ())
    seen = []
    for now in (every - 0.1, every, 2 * every - 0.1, 2 * every):
        await sockets._look_at((socket,), now)
        seen.append(len(outlet.sent))
    assert seen == [0, 1, 1, 2]
    assert all(word in message for message in outlet.sent)
