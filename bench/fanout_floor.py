"""`python -m bench.fanout_floor PORT`: uvicorn's websockets-sansio and nothing else, the floor of fanning out.

Each WebSocket is kept; `POST /fire` with a frame as its body sends that to all, one awaited send after the other
(perf.md, section 4).
"""

import sys
from collections.abc import Awaitable, Callable

import uvicorn

Message = dict[str, object]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Fanout:
    """A bare ASGI application."""

    def __init__(self) -> None:
        self._connected: set[Send] = set()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI's contract
        if scope["type"] == "websocket":
            await self._keep(receive, send)
        elif scope["type"] == "http":
            await self._fire(receive, send)

    async def _keep(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        self._connected.add(send)
        while (await receive())["type"] != "websocket.disconnect":
            pass
        self._connected.discard(send)

    async def _fire(self, receive: Receive, send: Send) -> None:
        body = (await receive())["body"]
        assert isinstance(body, bytes)  # noqa: S101 - ASGI's contract
        await send({"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})
        message: Message = {"type": "websocket.send", "text": body.decode()}
        for connected in tuple(self._connected):
            await connected(message)


if __name__ == "__main__":
    uvicorn.run(
        Fanout(),
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        access_log=False,
        log_level="error",
        lifespan="off",
        backlog=4_096,
        timeout_keep_alive=60,  # who fires waits until all have connected
    )
