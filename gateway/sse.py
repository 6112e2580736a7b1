"""Server-sent events of one task: the frames of the WebSocket in the words of the WHATWG HTML standard, 9.2."""

import asyncio
from collections.abc import AsyncGenerator

from starlette.responses import StreamingResponse

from events.cursor import Cursor
from gateway.auth import Principal
from gateway.encoding import to_json
from gateway.frames import Frame
from gateway.lookup import Whereabouts
from gateway.outlet import Closing, Outlet
from gateway.replay import Replayer
from gateway.subscription import Fields, Room, Subscription

HEARTBEAT = 15.0

_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class EventStream:
    """The SSE encoding."""

    def event(self, frame: Frame) -> tuple[str, str]:
        """`id` is the cursor, `event` the event's name, `data` the rest."""
        return f"id: {frame.cursor}\nevent: {frame.envelope.event}\ndata: {{", f"{frame.tail}\n\n"

    def control(self, kind: str, fields: Fields) -> str:
        """Any other frame under its own name; a snapshot carries the cursor to resume from."""
        place = f"id: {fields['cursor']}\n" if "cursor" in fields else ""
        return f"{place}event: {kind}\ndata: {to_json(fields).decode()}\n\n"


class Streams:
    """Serves SSE responses, and ends them before a restart."""

    def __init__(self, replayer: Replayer) -> None:
        self._replayer = replayer
        self._open: set[Outlet] = set()

    def response(self, principal: Principal, room: Room, found: Whereabouts, after: Cursor | None) -> StreamingResponse:
        """The stream of one task's room: ends after a final state, at the token's expiry, or for a slow reader."""
        frames = self._frames(principal, room, found, after)
        return StreamingResponse(frames, media_type="text/event-stream", headers=_HEADERS)

    def drain(self) -> None:
        """End all streams; an EventSource comes back by itself."""
        for outlet in self._open:
            outlet.close(1012, "restart")

    async def _frames(
        self, principal: Principal, room: Room, found: Whereabouts, after: Cursor | None
    ) -> AsyncGenerator[str]:
        outlet = Outlet()
        subscription = Subscription(room, outlet, EventStream())
        expiry = asyncio.get_running_loop().call_later(principal.seconds_left(), outlet.close, 4401, "token_expired")
        self._open.add(outlet)
        self._replayer.start(subscription, after, ended=found.ended)
        try:
            yield "retry: 1000\n\n"
            async for text in _beating(outlet):
                yield text
                if text.startswith(("event: end\n", "event: error\n")):
                    return
        finally:
            expiry.cancel()
            self._open.discard(outlet)
            self._replayer.stop(subscription)


async def _beating(outlet: Outlet) -> AsyncGenerator[str]:
    """What comes out of the outlet, and a comment line when nothing came for 15 s."""
    while True:
        try:
            async with asyncio.timeout(HEARTBEAT):
                item = await outlet.next()
        except TimeoutError:
            yield ": still here\n\n"
            continue
        if isinstance(item, Closing):
            yield EventStream().control("error", {"code": str(item.code), "detail": item.reason})
            return
        yield item
