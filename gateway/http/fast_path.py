"""The routes with the highest rate, past FastAPI's layers: those cost a third of an accept (docs/performance.md), and
a socket that stays open keeps all their frames in memory.

The same handlers of POSTs stand in FastAPI's router too, for the OpenAPI document, for 405 and every other method.
"""

from collections.abc import Awaitable, Callable
from types import SimpleNamespace

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from events.errors import GanglionError
from gateway.errors import answer_error, answer_http

Handler = Callable[[Request], Awaitable[Response]]
ServeSocket = Callable[[WebSocket], Awaitable[None]]


class FastPath:
    """Answers POSTs to the given paths and WebSockets on `/ws` itself, hands everything else to `app`; pure ASGI."""

    def __init__(self, app: ASGIApp, handlers: dict[str, Handler], sockets: ServeSocket) -> None:
        self._app = app
        self._sockets = sockets
        self._handlers = {path: (handler, SimpleNamespace(path=path)) for path, handler in handlers.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI's contract
        if scope["type"] == "websocket" and scope["path"] == "/ws":
            await self._sockets(WebSocket(scope, receive, send))
            return
        hot = self._handlers.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if hot is None:
            await self._app(scope, receive, send)
            return
        handler, scope["route"] = hot
        request = Request(scope, receive, send)
        try:
            response = await handler(request)
        except GanglionError as error:
            response = await answer_error(request, error)
        except HTTPException as error:
            response = await answer_http(request, error)
        await response(scope, receive, send)
