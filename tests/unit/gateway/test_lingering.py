"""How long a peer that is sent away is listened to."""

import asyncio
from collections.abc import Callable

from gateway.http.lingering import AT_MOST, QUIET, Lingering


class Loop(asyncio.BaseEventLoop):
    """It looks when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.delays: list[float] = []
        self.close()

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: object, **_: object
    ) -> asyncio.TimerHandle:
        self.delays.append(delay)
        self.look = callback
        return asyncio.TimerHandle(0.0, callback, args, self)


class Transport(asyncio.Transport):
    """It remembers what was done to it."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.done.append("eof")

    def close(self) -> None:
        self.done.append("close")


def test_a_quiet_peer_hears_the_end_at_once_and_is_let_go_at_the_second_look() -> None:
    loop, transport = Loop(), Transport()
    Lingering(loop, transport)
    assert transport.done == ["eof"]
    loop.look()
    assert transport.done == ["eof"]
    loop.look()
    assert transport.done == ["eof", "close"]
    assert loop.delays == [QUIET, QUIET]


def test_a_peer_that_sends_on_is_read_and_not_for_ever() -> None:
    loop, transport = Loop(), Transport()
    lingering = Lingering(loop, transport)
    for _ in range(AT_MOST):
        assert transport.done == ["eof"]
        lingering.heard()
        loop.look()
    assert transport.done == ["eof", "close"]
