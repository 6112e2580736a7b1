"""The outermost layer: a trail for each request, safe headers on each answer, one measurement, no leak of a bug."""

import time

import structlog
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars

from gateway.errors import answer_bug
from gateway.metrics import Metrics
from gateway.trail import TEMPLATE, Trail

log = structlog.get_logger()

_SAFE_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]
_NO_STORE = (b"cache-control", b"no-store")
_UNMATCHED = "unmatched"


class Edge:
    """Pure ASGI middleware: it costs a few microseconds a request and never buffers a body."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI's contract
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        trail = Trail.start(scope)
        # Every request has a task, and so a context, of its own: nothing is to be taken back.
        bind_contextvars(request_id=trail.request_id, trace_id=trail.trace_id)
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        await self._serve(scope, receive, send, trail)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, trail: Trail) -> None:
        method = scope["method"]
        if method == "HEAD":  # the server has a scope of its own, and knows what was asked
            scope, send = {**scope, "method": "GET"}, _head_only(send)
        await self._measured(scope, receive, send, trail, method)

    async def _measured(self, scope: Scope, receive: Receive, send: Send, trail: Trail, method: str) -> None:
        began = time.perf_counter()
        status = 0

        async def stamped(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _stamp(message, trail)
            await send(message)

        try:
            await self._app(scope, receive, stamped)
        except Exception as error:  # noqa: BLE001 - the last one to see a bug; it is logged with its traceback
            if status:
                log.debug("request_failed_after_its_answer", error=type(error).__name__)
            else:
                status = 500
                response = await answer_bug(Request(scope), error)
                await response(scope, receive, stamped)
        finally:
            self._metrics.observe(method, template_of(scope), status, time.perf_counter() - began)


def _head_only(send: Send) -> Send:
    """What answers a GET, ended after its headers (RFC 9110, 9.3.2): a stream, too, has no more to say."""

    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.start":
            await send(message)
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    return send_head


def template_of(scope: Scope) -> str:
    """The route as it is written (`/tasks/{task_id}`), never the path as it was asked for."""
    path = scope.get(TEMPLATE) or getattr(scope.get("route"), "path", None)
    return path if isinstance(path, str) else _UNMATCHED


def _stamp(message: Message, trail: Trail) -> None:
    headers = message["headers"] = list(message.get("headers", ()))
    headers.append((b"x-request-id", trail.request_id.encode()))
    headers.append((b"traceparent", trail.traceparent.encode()))
    headers.extend(_SAFE_HEADERS)
    if not any(name == b"cache-control" for name, _ in headers):
        headers.append(_NO_STORE)
