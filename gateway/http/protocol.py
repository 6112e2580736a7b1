"""uvicorn's HTTP protocol with a look at its peer: who sends no end, and who has stopped reading.

A request's line and headers have a bound in size and time, which uvicorn leaves to a server in front. An endless
response must know who has stopped reading: ASGI tells it nothing of that, its `send` waits, and so does the last word
to a reader that is sent away.
"""

import asyncio
from http import HTTPStatus

from starlette.requests import HTTPConnection
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.errors import problem
from gateway.http.lingering import Lingering
from gateway.http.stall import Stall
from gateway.trail import Trail

MAX_HEAD = 64 * 1024
"""Bytes of a request's line and headers."""

HEAD_WITHIN = 30.0
"""Seconds that a peer whom nothing is owed has to send the whole of them."""

_KEY = "ganglion.line"
_DROP_AFTER = 60.0
"""Seconds that a reader which was sent away has to come and hear why; then its connection is dropped."""


class HttpWire(HttpToolsProtocol):
    """One HTTP connection."""

    line: "Line | None" = None
    _received = 0
    """Bytes since the last request was complete, or less."""
    _has_head = True
    _is_over = False
    """A request was refused, or the connection is a WebSocket by now."""
    _patience: asyncio.TimerHandle | None = None
    _lingering: Lingering | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin (asyncio.Protocol)."""
        super().connection_made(transport)
        self.line = Line(self)
        self._be_patient()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end (asyncio.Protocol)."""
        super().connection_lost(exc)
        self._let_be()
        if self._lingering is not None:
            self._lingering.stop()

    def data_received(self, data: bytes) -> None:
        """Read on, unless nothing more is to be read here (asyncio.Protocol)."""
        if self._is_over:
            if self._lingering is not None:
                self._lingering.heard()
            return
        self._received += len(data)
        super().data_received(data)
        if self._is_over:
            return
        if not self._has_head and self._received > MAX_HEAD:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif self.cycle is not None and not self.cycle.response_complete:
            self._let_be()
        elif self._patience is None:
            self._be_patient()

    def on_message_begin(self) -> None:
        """Leave the line in the scope of the request (httptools' callback)."""
        super().on_message_begin()
        self._has_head = False
        self.scope["state"][_KEY] = self.line

    def on_headers_complete(self) -> None:
        """Begin with the request, unless it is too large (httptools' callback)."""
        if self._received > MAX_HEAD and self._head_size() > MAX_HEAD:
            raise ValueError("the head is too large")  # see send_400_response
        self._has_head = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The next bytes belong to the next request (httptools' callback)."""
        super().on_message_complete()
        self._received = 0

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's text; ours is a problem like any other
        """Refuse what the parser stopped at."""
        too_large = not self._has_head and self._received > MAX_HEAD
        self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE if too_large else HTTPStatus.BAD_REQUEST)

    def handle_websocket_upgrade(self) -> None:
        """The connection is another protocol's from here on."""
        self._is_over = True
        self._let_be()
        super().handle_websocket_upgrade()

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def _refuse(self, status: HTTPStatus) -> None:
        """Answer, and read past what is still coming: who is cut off while sending never hears why."""
        self._is_over = True
        self._let_be()
        self.flow.resume_reading()
        self.transport.write(refusal(status, *_TOLD[status]))
        self._lingering = Lingering(self.loop, self.transport)

    def _be_patient(self) -> None:
        self._patience = self.loop.call_later(HEAD_WITHIN, self.transport.close)

    def _let_be(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def pause_writing(self) -> None:
        """The peer is behind (asyncio.Protocol)."""
        super().pause_writing()
        if self.line is not None:
            self.line.pause(self.loop.time())

    def resume_writing(self) -> None:
        """The peer has caught up (asyncio.Protocol)."""
        super().resume_writing()
        if self.line is not None:
            self.line.resume()


class Line:
    """What a response knows of the connection it goes out on: whether its reader is behind, and for how long."""

    __slots__ = ("_stall", "_wire")

    def __init__(self, wire: HttpWire) -> None:
        self._wire = wire
        self._stall = Stall()

    @property
    def blocked(self) -> bool:
        """Whether the reader is behind."""
        return self._stall.is_on

    def pause(self, now: float) -> None:
        """The reader fell behind."""
        self._stall.begin(now)

    def resume(self) -> None:
        """The reader has caught up."""
        self._stall.end()

    def stalled_for(self, now: float) -> float:
        """Seconds in which the reader took nothing; to be asked now and then."""
        return self._stall.lasts(now, self._wire.transport.get_write_buffer_size())

    def give_up(self) -> None:
        """Have the response write its last words without waiting, and drop the connection if nobody comes for them."""
        self.resume()
        self._wire.flow.resume_writing()
        self._wire.loop.call_later(_DROP_AFTER, self._wire.transport.abort)


_TOLD = {
    HTTPStatus.BAD_REQUEST: ("bad_request", "This is not HTTP/1.1."),
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: (
        "headers_too_large",
        "The request's line and headers are larger than 64 KiB.",
    ),
}


def refusal(status: HTTPStatus, code: str, detail: str) -> bytes:
    """A whole answer, for a request that never became one."""
    answer = problem(Trail.start({"headers": []}), status, code, detail, headers={"Connection": "close"})
    lines = [f"HTTP/1.1 {status.value} {status.phrase}".encode()]
    lines += [b"%s: %s" % header for header in answer.raw_headers]
    return b"\r\n".join([*lines, b"", bytes(answer.body)])


def line_of(connection: HTTPConnection) -> Line:
    """The line of a request that uvicorn serves with `HttpWire`."""
    line = connection.scope["state"][_KEY]
    assert isinstance(line, Line)  # noqa: S101 - the gateway's server uses no other protocol
    return line
