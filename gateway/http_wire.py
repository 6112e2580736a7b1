"""uvicorn's HTTP protocol with a look at its reader: an endless response must know who has stopped reading.

ASGI tells a response nothing of that: its `send` waits, and so does the last word to a reader that is sent away.
"""

import asyncio

from starlette.requests import HTTPConnection
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_KEY = "ganglion.line"
_DROP_AFTER = 60.0
"""Seconds that a reader which was sent away has to come and hear why; then its connection is dropped."""


class HttpWire(HttpToolsProtocol):
    """One HTTP connection."""

    line: "Line | None" = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin (asyncio.Protocol)."""
        super().connection_made(transport)
        self.line = Line(self)

    def on_message_begin(self) -> None:
        """Leave the line in the scope of the request (httptools' callback)."""
        super().on_message_begin()
        self.scope["state"][_KEY] = self.line

    def pause_writing(self) -> None:
        """The peer is behind (asyncio.Protocol)."""
        super().pause_writing()
        if self.line is not None:
            self.line.blocked_since = self.loop.time()

    def resume_writing(self) -> None:
        """The peer has caught up (asyncio.Protocol)."""
        super().resume_writing()
        if self.line is not None:
            self.line.blocked_since = None


class Line:
    """What a response knows of the connection it goes out on: `blocked_since` is when its reader fell behind."""

    __slots__ = ("_wire", "blocked_since")

    def __init__(self, wire: HttpWire) -> None:
        self._wire = wire
        self.blocked_since: float | None = None

    def give_up(self) -> None:
        """Have the response write its last words without waiting, and drop the connection if nobody comes for them."""
        self.blocked_since = None
        self._wire.flow.resume_writing()
        self._wire.loop.call_later(_DROP_AFTER, self._wire.transport.abort)


def line_of(connection: HTTPConnection) -> Line:
    """The line of a request that uvicorn serves with `HttpWire`."""
    line = connection.scope["state"][_KEY]
    assert isinstance(line, Line)  # noqa: S101 - the gateway's server uses no other protocol
    return line
