"""uvicorn's WebSocket protocol with a short way out: frames that are already encoded go to the transport as they are.

ASGI costs a coroutine, three wake-ups and an encoding for each frame and each receiver. An event that goes to
thousands is encoded once here, and a receiver costs one `write`. Reading stays with ASGI.
"""

import asyncio
from http import HTTPStatus

from starlette.websockets import WebSocket
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import HeaderLineTooLong, RequestLineTooLong, TooManyHeaders
from websockets.http11 import Request
from websockets.protocol import State

from events.cursor import Cursor
from gateway.http.lingering import Lingering
from gateway.http.protocol import refusal
from gateway.http.stall import Stall
from gateway.live.outlet import HIGH_WATER, Closing, resume_point

_KEY = "ganglion.wire"
_DROP_AFTER = 60.0
"""Seconds that a peer which reads nothing has to come and hear why it was sent away; then its socket is dropped."""

_NO_OPENING = HTTPStatus.BAD_REQUEST, "bad_request", "A WebSocket is opened by a GET without a body."
_TOO_LARGE = (
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "headers_too_large",
    "The request that opens a WebSocket has a line of more than 8 KiB, or more than 128 headers.",
)


class Wire(WebSocketsSansIOProtocol):
    """One WebSocket connection. A peer that reads nothing cannot hold it: what is unsent a minute after the handler
    ended is dropped.
    """

    outlet: "WireOutlet | None" = None
    lingering: Lingering | None = None

    def handle_connect(self, event: Request) -> None:
        """Leave the way out in the scope of an accepted request."""
        super().handle_connect(event)
        if self.response.status_code == 101:
            self.outlet = self.scope["state"][_KEY] = WireOutlet(self)

    async def run_asgi(self) -> None:
        """Serve the connection."""
        try:
            await super().run_asgi()
        finally:
            self.loop.call_later(_DROP_AFTER, self.transport.abort)

    def data_received(self, data: bytes) -> None:
        """Read on; an opening that is none is answered, which uvicorn leaves out (asyncio.Protocol)."""
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self._refuse_opening(self.conn.handshake_exc)

    def _refuse_opening(self, fault: Exception) -> None:
        if self.lingering is not None:
            self.lingering.heard()
            return
        told = _TOO_LARGE if isinstance(fault, RequestLineTooLong | HeaderLineTooLong | TooManyHeaders) else _NO_OPENING
        self.transport.write(refusal(*told))
        self._linger()

    def _linger(self) -> None:
        self.close_sent = True
        self.lingering = Lingering(self.loop, self.transport)
        self.close_timer = self.lingering.timer

    def handle_parser_exception(self) -> None:
        """Say what was wrong and read on: a close frame is lost if the rest of a message meets a closed socket.

        It is called again with everything that comes after it.
        """
        if self.close_sent:
            if self.lingering is not None:
                self.lingering.heard()
            return
        said = self.conn.close_sent
        assert said is not None  # noqa: S101 - the parser has put it there
        self.queue.put_nowait({"type": "websocket.disconnect", "code": said.code, "reason": said.reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self._linger()
        self._read_on()

    def _read_on(self) -> None:
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()

    def pause_writing(self) -> None:
        """The peer is behind (asyncio.Protocol)."""
        super().pause_writing()
        if self.outlet is not None:
            self.outlet.pause(self.loop.time())

    def resume_writing(self) -> None:
        """The peer has caught up (asyncio.Protocol)."""
        super().resume_writing()
        if self.outlet is not None:
            self.outlet.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go who waits for the peer (asyncio.Protocol)."""
        super().connection_lost(exc)
        if self.lingering is not None:
            self.lingering.stop()
        if self.outlet is not None:
            self.outlet.resume()

    @property
    def is_open(self) -> bool:
        """Whether frames can be sent. uvloop closes a transport before it says so."""
        return not (self.close_sent or self.transport.is_closing()) and self.conn.state is State.OPEN

    def end(self, code: int, reason: str) -> None:
        """Begin the closing handshake now, even towards a peer that reads nothing."""
        self.writable.set()
        if self.outlet is not None:
            self.outlet.flush()
        closing = self.send({"type": "websocket.close", "code": code, "reason": reason[:120]})
        task = self.loop.create_task(closing)
        self.tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled():
            task.exception()  # the peer was quicker


class WireOutlet:
    """The outlet of a WebSocket, which says how long its reader has taken nothing.

    What is put in one turn of the event loop goes out in one piece: a write is a system call.
    """

    __slots__ = ("_pending", "_room", "_size", "_stall", "_wire", "closing", "last")

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._room: asyncio.Future[None] | None = None
        self._pending: list[bytes] = []
        self._size = 0
        self._stall = Stall()
        self.closing: Closing | None = None
        self.last: Cursor | None = None

    @property
    def blocked(self) -> bool:
        """Whether the peer is behind: put nothing that can wait."""
        return self._stall.is_on

    def put(self, data: bytes, cursor: Cursor | None = None) -> None:
        """Write one or several whole frames, at the end of this turn of the loop or as soon as there are many."""
        if self.closing is not None or not self._wire.is_open:
            return
        if not self._pending:
            self._wire.loop.call_soon(self.flush)
        self._pending.append(data)
        self._size += len(data)
        if cursor is not None:
            self.last = cursor
        if self._size > HIGH_WATER:
            self.flush()

    def flush(self) -> None:
        """Write what was put."""
        if self._pending and self._wire.is_open:
            self._wire.transport.write(b"".join(self._pending))
        self._pending.clear()
        self._size = 0

    def close(self, code: int, reason: str) -> None:
        """End after what was written."""
        if self.closing is None:
            self.closing = Closing(code, resume_point(self) if code == 4408 else reason)
            self._wire.end(code, self.closing.reason)
            self._let_go()

    async def room(self) -> None:
        """Wait until the peer has taken most of what was written, or the end."""
        while self.blocked and self.closing is None and not self._wire.disconnected:
            if self._room is None:
                self._room = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._room)

    def pause(self, now: float) -> None:
        """The transport holds more than its high water mark."""
        self._stall.begin(now)

    def stalled_for(self, now: float) -> float:
        """Seconds in which the peer took nothing of what waits; to be asked now and then."""
        return self._stall.lasts(now, self._wire.transport.get_write_buffer_size())

    def resume(self) -> None:
        """The transport holds less than its low water mark."""
        self._stall.end()
        self._let_go()

    def _let_go(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        self._room = None


def outlet_of(websocket: WebSocket) -> WireOutlet:
    """The short way out of a connection that uvicorn serves with `Wire`."""
    outlet = websocket.scope["state"][_KEY]
    assert isinstance(outlet, WireOutlet)  # noqa: S101 - the gateway's server uses no other protocol
    return outlet
