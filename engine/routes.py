"""The HTTP side of the contract: invoke, state, cleanup, health and readiness."""

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from http import HTTPStatus

import orjson
import prometheus_client
import structlog
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from structlog.contextvars import bound_contextvars

from engine.auth import check_token
from engine.checkpoints import Checkpoints
from engine.errors import EngineError, StoreAwayError, TooLargeError
from engine.job import read_job
from engine.metrics import REQUESTS
from engine.state import File
from engine.threads import Threads
from events import trace
from events.base import JsonObject
from events.spans import Spans

log = structlog.get_logger()

_QUIET = frozenset({"health", "ready", "state"})
"""Asked again and again."""

MAX_BODY = 16 * 1024 * 1024

Handler = Callable[[Request], Awaitable[Response]]


class Routes:
    """One method a route; errors leave as problem+json (RFC 9457)."""

    def __init__(self, threads: Threads, checkpoints: Checkpoints, token: str) -> None:
        self._threads = threads
        self._checkpoints = checkpoints
        self._token = token

    async def invoke(self, request: Request) -> Response:
        """Take a job: 200 {thread_id, status: started | processing | completed}, once its input is committed."""
        check_token(request, self._token)
        job = read_job(request.headers, await _body(request))
        status = await self._threads.invoke(job)
        return _json({"thread_id": job.job_id, "status": status})

    async def state(self, request: Request) -> Response:
        """Where a thread is: `completed` only when its last node's work is committed."""
        check_token(request, self._token)
        thread_id = request.path_params["thread_id"]
        record = await self._threads.record(thread_id)
        values = await self._threads.values(thread_id)
        answer: dict[str, object] = {
            "thread_id": thread_id,
            "status": record["status"],
            "generated_files": values.get("files", dict[str, File]()),
        }
        if record["status"] == "completed":
            answer["result"] = values.get("result")
        if record["error"] is not None:
            answer["error"] = record["error"]
        return _json(answer)

    async def cleanup(self, request: Request) -> Response:
        """Stop a thread and delete its checkpoints: 204, or 404 when there is none."""
        check_token(request, self._token)
        await self._threads.forget(request.path_params["thread_id"])
        return Response(status_code=204)

    async def health(self, _: Request) -> Response:
        """The process answers."""
        return _json({"status": "healthy", "timestamp": _now()})

    async def ready(self, _: Request) -> Response:
        """The database answers, and what was left unfinished is being worked on: 200, else 503."""
        services: JsonObject = {"postgres": "ready"}
        try:
            await self._checkpoints.ping()
        except StoreAwayError:
            services["postgres"] = "unavailable"
        services["threads"] = "ready" if self._threads.is_resumed else "not resumed yet"
        is_ready = all(state == "ready" for state in services.values())
        body: JsonObject = {
            "status": "ready" if is_ready else "not_ready",
            "services": services,
            "timestamp": _now(),
        }
        return _json(body, 200 if is_ready else 503)

    async def metrics(self, _: Request) -> Response:
        """What the engine counts, for Prometheus."""
        return Response(prometheus_client.generate_latest(), media_type=prometheus_client.CONTENT_TYPE_LATEST)


def guarded(name: str, handler: Handler, spans: Spans | None = None) -> Handler:
    """A handler whose errors are answers, whose time is counted, whose log lines and span are of the caller's trace."""
    traced = spans or Spans()

    async def guard(request: Request) -> Response:
        began = time.monotonic()
        with bound_contextvars(**trace_of(request)):
            try:
                with traced.serving(name, request.headers.get("traceparent")):
                    response = await _unless_refused(handler, request)
            except EngineError as error:
                response = _problem(error)
            seconds = time.monotonic() - began
            REQUESTS.labels(name, response.status_code).observe(seconds)
            if name not in _QUIET:
                log.info("engine_call", route=name, status=response.status_code, ms=round(seconds * 1e3, 1))
        return response

    return guard


async def _unless_refused(handler: Handler, request: Request) -> Response:
    """The answer; what we fail at is raised, so that the span of the call says so."""
    try:
        return await handler(request)
    except EngineError as error:
        if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise
        return _problem(error)


def trace_of(connection: HTTPConnection) -> dict[str, str]:
    """What binds log lines to the trace of a request (W3C Trace Context): its id, and the caller's span."""
    traceparent = trace.parse(connection.headers.get("traceparent"))
    return {} if traceparent is None else {"trace_id": traceparent[3:35], "parent_id": traceparent[36:52]}


def _problem(error: EngineError) -> Response:
    body: JsonObject = {
        "type": "about:blank",
        "title": (type(error).__doc__ or "").strip(),
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "retryable": error.retryable,
    }
    headers = {"Retry-After": f"{error.retry_after or 1.0:.0f}"} if error.retryable else {}
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(orjson.dumps(body), error.status, headers, "application/problem+json")


async def _body(request: Request) -> bytes:
    """The body, as far as it is not too large."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY:
            raise TooLargeError(f"the body is larger than {MAX_BODY} bytes")
    return bytes(body)


def _json(body: object, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
