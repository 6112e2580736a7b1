"""The routes with the highest rate, past FastAPI's layers: those cost a third of an accept (docs/performance.md).

The same handlers stand in FastAPI's router too, for the OpenAPI document, for 405 and for every other method.
"""

from collections.abc import Awaitable, Callable
from types import SimpleNamespace

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from events.errors import GanglionError
from gateway.errors import answer_error, answer_http

Handler = Callable[[Request], Awaitable[Response]]


class HotRoutes:
    """Answers POSTs to the given paths itself and hands everything else to `app`; pure ASGI."""

    def __init__(self, app: ASGIApp, handlers: dict[str, Handler]) -> None:
        self._app = app
        self._handlers = {path: (handler, SimpleNamespace(path=path)) for path, handler in handlers.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI's contract
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
