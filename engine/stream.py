"""WS `/stream/{thread_id}`: where a thread is, at once and whole, then each step until the end."""

import asyncio
import contextlib
from typing import cast

from starlette.websockets import WebSocket, WebSocketDisconnect

from engine import frames
from engine.auth import check_token
from engine.errors import EngineError, StoreAwayError, UnauthorizedError
from engine.feed import Listener
from engine.frames import Frame
from engine.metrics import SOCKETS
from engine.threads import Threads
from events.spans import Spans

_UNAUTHORIZED, _UNKNOWN, _RESTART = 1008, 4404, 1012


class StreamEndpoint:
    """Serves one socket a call; a socket that drops changes nothing for its thread."""

    def __init__(self, threads: Threads, token: str, spans: Spans) -> None:
        self._threads = threads
        self._token = token
        self._spans = spans

    async def serve(self, socket: WebSocket) -> None:
        """Send frames until the thread's `end`, or until the client leaves. A thread that ended is told whole too."""
        try:
            check_token(socket, self._token)
        except UnauthorizedError:
            await socket.close(_UNAUTHORIZED)
            return
        await socket.accept()
        span = self._spans.serving("stream", socket.headers.get("traceparent"))
        with SOCKETS.track_inprogress(), span, contextlib.suppress(WebSocketDisconnect):
            await self._until_left(socket)

    async def _until_left(self, socket: WebSocket) -> None:
        telling = asyncio.create_task(self._tell(socket, socket.path_params["thread_id"]))
        leaving = asyncio.create_task(_left(socket))
        try:
            await asyncio.wait({telling, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if telling.done():
                await telling
        finally:
            telling.cancel()
            leaving.cancel()

    async def _tell(self, socket: WebSocket, thread_id: str) -> None:
        heard = self._threads.listen(thread_id)  # first, so that nothing falls between the state and what follows
        try:
            is_running = await self._tell_state(socket, thread_id)
            if not is_running:
                await socket.close()
            elif heard is None:
                await socket.close(_RESTART, "the thread waits for a resume")
            else:
                await _follow(socket, heard[0])
        except StoreAwayError:
            await socket.close(_RESTART, "the checkpoint database is away")
        except EngineError as error:
            await _send(socket, frames.error(error.code, error.detail, retryable=error.retryable))
            await socket.close(_UNKNOWN, error.code)
        finally:
            if heard is not None:
                heard[1]()

    async def _tell_state(self, socket: WebSocket, thread_id: str) -> bool:
        """Where the thread is now; whether it runs."""
        record = await self._threads.record(thread_id)
        values = await self._threads.values(thread_id)
        await _send(socket, frames.state_update(record["status"], "state", values.get("files")))
        if record["status"] == "running":
            return True
        if failure := record["error"]:
            await _send(socket, frames.error(failure["code"], failure["message"], retryable=failure["retryable"]))
        await _send(socket, frames.end())
        return False


async def _follow(socket: WebSocket, listener: Listener) -> None:
    while True:
        frame = await listener.next()
        if frame is None:
            await socket.close(_RESTART, "the engine stops")
            return
        await _send(socket, frame)
        if frame.event_type == "end":
            await socket.close()
            return


async def _send(socket: WebSocket, frame: Frame) -> None:
    await socket.send_text(frame.text)


async def _left(socket: WebSocket) -> None:
    """Returns when the client is gone; what it says is not for us."""
    while cast("str", (await socket.receive())["type"]) != "websocket.disconnect":
        pass
