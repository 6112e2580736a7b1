"""Server-sent events of a room: the frames of the WebSocket in the words of the WHATWG HTML standard, 9.2."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager

from starlette.requests import Request
from starlette.responses import StreamingResponse

from events.cursor import Cursor
from gateway.auth.bearer import Principal
from gateway.encoding import to_json
from gateway.http.protocol import Line, line_of
from gateway.live.frames import Frame
from gateway.live.outlet import STALLED_AFTER, Closing, QueueOutlet
from gateway.live.places import Places
from gateway.live.replay import Replayer
from gateway.live.rooms import Room
from gateway.live.speech import Saying, delta_fields
from gateway.live.subscription import Fields, Subscription
from gateway.metrics import Metrics

HEARTBEAT = 15.0

LOOKS_EVERY = 2.0

HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class EventStream:
    """The SSE encoding; `ended` once the last frame was written."""

    def __init__(self) -> None:
        self.ended = False

    def event(self, frame: Frame) -> bytes:
        """`id` is the cursor, `event` the event's name, `data` the rest."""
        return frame.as_message()

    def delta(self, saying: Saying, offset: int, text: str) -> bytes:
        """Without an `id`: a reader resumes after the last event."""
        return b"event: run.delta\ndata: %s\n\n" % to_json(delta_fields(saying, offset, text))

    def control(self, kind: str, fields: Fields) -> bytes:
        """Any other frame under its own name; `subscribed` and a snapshot carry the cursor to resume from."""
        self.ended = self.ended or kind in {"end", "error"}
        cursor = fields.get("from" if kind == "subscribed" else "cursor")
        place = b"" if cursor is None else b"id: %s\n" % str(cursor).encode()
        return b"%sevent: %s\ndata: %s\n\n" % (place, kind.encode(), to_json(fields))


class Streams:
    """Serves SSE responses, sends away who reads nothing, and ends them before a restart."""

    def __init__(self, replayer: Replayer, metrics: Metrics, places: Places | None = None) -> None:
        self._replayer = replayer
        self._places = places or Places()
        self._metrics = metrics
        self._open: dict[QueueOutlet, Line] = {}

    @property
    def count(self) -> int:
        """How many are open."""
        return len(self._open)

    def response(
        self, request: Request, principal: Principal, room: Room, after: Cursor | None, *, ended: bool = False
    ) -> StreamingResponse:
        """The stream of a room: a task's ends after a final state, any at the token's expiry or for a slow reader.

        Raises TooManyOpenError.
        """
        self._places.refuse_if_full(principal)
        frames = self._frames(line_of(request), principal, room, after, ended=ended)
        return StreamingResponse(frames, media_type="text/event-stream", headers=HEADERS)

    @contextmanager
    def held(self, outlet: QueueOutlet, line: Line) -> Iterator[None]:
        """While the block runs, close the outlet of a reader that reads nothing (4408) or before a restart (1012)."""
        self._open[outlet] = line
        try:
            yield
        finally:
            del self._open[outlet]
            if outlet.closing is not None and outlet.closing.code == 4408:
                self._metrics.slow_readers.inc()

    def drain(self) -> None:
        """End all streams; an EventSource comes back by itself."""
        for outlet in self._open:
            outlet.close(1012, "restart")
        self._look_at_all(asyncio.get_running_loop().time())

    async def keep_moving(self) -> None:
        """Until cancelled: end the streams of those who read nothing, as with sockets."""
        while True:
            await asyncio.sleep(LOOKS_EVERY)
            self._look_at_all(asyncio.get_running_loop().time())

    def _look_at_all(self, now: float) -> None:
        for outlet, line in self._open.items():
            if not line.blocked:
                continue
            if line.stalled_for(now) > STALLED_AFTER:
                outlet.close(4408, "")
            if outlet.closing is not None:
                line.give_up()

    async def _frames(
        self, line: Line, principal: Principal, room: Room, after: Cursor | None, *, ended: bool
    ) -> AsyncGenerator[bytes]:
        outlet, encoding = QueueOutlet(), EventStream()
        subscription = Subscription(room, outlet, encoding)
        expiry = asyncio.get_running_loop().call_later(principal.seconds_left(), outlet.close, 4401, "token_expired")
        self._replayer.start(subscription, after, ended=ended)
        try:
            with self._places.taken(principal), self.held(outlet, line):
                yield b"retry: 1000\n\n"
                while not (encoding.ended and outlet.empty):
                    item = await next_frame(outlet)
                    if isinstance(item, Closing):
                        yield encoding.control("error", {"code": str(item.code), "detail": item.reason})
                        return
                    yield item
        finally:
            expiry.cancel()
            self._replayer.stop(subscription)


async def next_frame(outlet: QueueOutlet) -> bytes | Closing:
    """What comes out of the outlet, or a comment line when nothing came for 15 s."""
    try:
        async with asyncio.timeout(HEARTBEAT):
            return await outlet.next()
    except TimeoutError:
        return b": still here\n\n"
