"""The last seconds of a connection whose peer is sent away while it is still sending.

To close a socket that has not been read to its end, or that more is sent to, is to reset the connection: the peer may
lose what it was told last (RFC 9112, 9.6; RFC 6455, 7.1.1). So ours is said to be the last word, and what comes is read
and thrown away until the peer closes too, has been quiet for a moment, or has gone on for too long.
"""

import asyncio

QUIET = 1.0
"""Seconds between two looks at whether anything came; the second one without is the end."""

AT_MOST = 30
"""Looks, however much comes."""


class Lingering:
    """Ends a connection. `heard` must be told of everything that comes.

    Between two looks the event loop has asked the socket once, so that a busy process does not take for quiet what it
    had no time to read.
    """

    __slots__ = ("_looks", "_loop", "_quiet", "_timer", "_transport")

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport) -> None:
        self._loop = loop
        self._transport = transport
        self._looks = 0
        self._quiet = 0
        if transport.can_write_eof():
            transport.write_eof()
        self._timer = loop.call_later(QUIET, self._look)

    @property
    def timer(self) -> asyncio.TimerHandle:
        """The next look."""
        return self._timer

    def heard(self) -> None:
        """Something came."""
        self._quiet = 0

    def stop(self) -> None:
        """The connection is gone."""
        self._timer.cancel()

    def _look(self) -> None:
        self._looks += 1
        self._quiet += 1
        if self._quiet > 1 or self._looks >= AT_MOST:
            self._transport.close()
        else:
            self._timer = self._loop.call_later(QUIET, self._look)
