"""What goes wrong at the edge, and the one table from error classes to HTTP statuses (RFC 9457 bodies)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from uuid import UUID

import orjson
import structlog
from fastapi.exceptions import RequestValidationError
from pydantic import JsonValue, ValidationError
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import compile_path
from typing_extensions import TypedDict

from events.cursor import InvalidCursorError
from events.errors import (
    GanglionError,
    HistoryArchivedError,
    InvalidEventError,
    InvalidIdError,
    OutcomeUnknownError,
    PermanentError,
    TransientError,
)
from events.workflow import LOCKED
from gateway.encoding import to_json
from gateway.trail import Trail

log = structlog.get_logger()

PROBLEM = "application/problem+json"
BUG = "Something went wrong on our side; the request id helps us find it."
_RETRY_AFTER = 1.0


class Fault(TypedDict):
    """One thing that is wrong with a request, and where."""

    field: str
    message: str


class UnauthorizedError(PermanentError):
    """A valid bearer token is needed."""

    code = "unauthorized"


class KeysUnavailableError(TransientError):
    """The keys that tokens are verified with cannot be fetched at the moment."""

    code = "keys_unavailable"


class MissingScopeError(PermanentError):
    """The token does not grant what this needs."""

    code = "missing_scope"


class ForbiddenError(PermanentError):
    """You may look at this and not change it."""

    code = "forbidden"


class NotFoundError(PermanentError):
    """There is nothing of yours under this id."""

    code = "not_found"


class BadRequestError(PermanentError):
    """The request is not what this route takes."""

    code = "bad_request"


class IncompleteBodyError(BadRequestError):
    """The connection ended before the body did."""

    code = "incomplete_body"


class RequestTimeoutError(TransientError):
    """The body did not come to its end within 30 seconds."""

    code = "request_timeout"


class BadGatewayError(PermanentError):
    """What works behind us failed at this."""

    code = "bad_gateway"


class GatewayTimeoutError(TransientError):
    """What works behind us took too long."""

    code = "gateway_timeout"


class BadJsonError(PermanentError):
    """The body is not valid JSON."""

    code = "bad_json"


class InvalidBodyError(PermanentError):
    """The request does not fit the contract; `errors` says where."""

    code = "invalid_request"

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__()
        self.faults = tuple(faults)


class BodyTooLargeError(PermanentError):
    """The body is larger than 1 MiB."""

    code = "body_too_large"


class WrongMediaTypeError(PermanentError):
    """The body must be application/json."""

    code = "unsupported_media_type"


class IdempotencyConflictError(PermanentError):
    """The Idempotency-Key was used for a different request."""

    code = "idempotency_conflict"


class TaskFinalError(PermanentError):
    """The task has ended; nothing can change its course."""

    code = "task_final"


class RefusedError(PermanentError):
    """The task cannot be changed so in the state it is in."""

    code = "refused"


class StaleDigestError(PermanentError):
    """It is not what you saw any more: its ETag differs from the one in If-Match."""

    code = "stale_digest"


class LockedError(PermanentError):
    """Somebody else holds the lock of the workflow; it ends at `locked_until` at the latest."""

    code = LOCKED
    retryable = True

    def __init__(self, locked_by: str | None = None, locked_until: datetime | None = None) -> None:
        super().__init__()
        self.members = {"locked_by": locked_by, "locked_until": locked_until} if locked_by is not None else {}


class LetterGoneError(PermanentError):
    """The event that the letter is about is kept nowhere any more; the letter can only be thrown away."""

    code = "letter_gone"


class BlockedByPolicyError(PermanentError):
    """What was written is not let in by policy."""

    code = "blocked_by_policy"

    def __init__(self, reason: str | None, findings: list[JsonValue]) -> None:
        super().__init__(reason)
        self.members = {"findings": findings}


class RateLimitedError(TransientError):
    """Too many requests: come back after the seconds in Retry-After."""

    code = "rate_limited"


class OutcomeError(RefusedError):
    """The keeper refused the event; `code` is its reason."""

    def __init__(self, code: str) -> None:
        super().__init__(f"It was refused in the state that things are in: {code.replace('_', ' ')}.")
        self.code = code  # type: ignore[misc]  # the keeper's reasons are many, and stable


class UnansweredError(OutcomeUnknownError):
    """The task was sent to the log and not acknowledged: ask for it by its id, or repeat with the same key."""

    def __init__(self, task_id: UUID, idempotency_key: str | None) -> None:
        super().__init__()
        self.members = {"task_id": str(task_id), "idempotency_key": idempotency_key}


STATUSES: dict[type[GanglionError], HTTPStatus] = {
    BadJsonError: HTTPStatus.BAD_REQUEST,
    BadRequestError: HTTPStatus.BAD_REQUEST,
    RequestTimeoutError: HTTPStatus.REQUEST_TIMEOUT,
    BadGatewayError: HTTPStatus.BAD_GATEWAY,
    GatewayTimeoutError: HTTPStatus.GATEWAY_TIMEOUT,
    UnauthorizedError: HTTPStatus.UNAUTHORIZED,
    MissingScopeError: HTTPStatus.FORBIDDEN,
    ForbiddenError: HTTPStatus.FORBIDDEN,
    NotFoundError: HTTPStatus.NOT_FOUND,
    IdempotencyConflictError: HTTPStatus.CONFLICT,
    TaskFinalError: HTTPStatus.CONFLICT,
    RefusedError: HTTPStatus.CONFLICT,
    LetterGoneError: HTTPStatus.GONE,
    HistoryArchivedError: HTTPStatus.GONE,
    StaleDigestError: HTTPStatus.PRECONDITION_FAILED,
    LockedError: HTTPStatus.LOCKED,
    BodyTooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    WrongMediaTypeError: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    InvalidBodyError: HTTPStatus.UNPROCESSABLE_ENTITY,
    BlockedByPolicyError: HTTPStatus.UNPROCESSABLE_ENTITY,
    InvalidCursorError: HTTPStatus.UNPROCESSABLE_ENTITY,
    InvalidEventError: HTTPStatus.UNPROCESSABLE_ENTITY,
    InvalidIdError: HTTPStatus.UNPROCESSABLE_ENTITY,
    RateLimitedError: HTTPStatus.TOO_MANY_REQUESTS,
    TransientError: HTTPStatus.SERVICE_UNAVAILABLE,
    GanglionError: HTTPStatus.INTERNAL_SERVER_ERROR,
}


def status_of(error: GanglionError) -> HTTPStatus:
    """The status of the error's class, or of its nearest ancestor in the table."""
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def problem(
    trail: Trail,
    status: int,
    code: str,
    detail: str,
    *,
    retryable: bool = False,
    headers: dict[str, str] | None = None,
    more: dict[str, object] | None = None,
) -> Response:
    """One RFC 9457 answer; `more` are members beyond the fixed ones."""
    body = problem_body(trail, status, code, detail, retryable=retryable, more=more)
    return Response(to_json(body), status, headers, PROBLEM)


def problem_body(
    trail: Trail, status: int, code: str, detail: str, *, retryable: bool = False, more: dict[str, object] | None = None
) -> dict[str, object]:
    """The members of an RFC 9457 problem."""
    return {
        "type": f"urn:ganglion:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
        "code": code,
        "retryable": retryable,
        "request_id": trail.request_id,
        "trace_id": trail.trace_id,
        **(more or {}),
    }


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error as it is told: over HTTP, over NATS, or as one item of many."""

    status: HTTPStatus
    headers: dict[str, str]
    body: dict[str, object]


def refusal_of(trail: Trail, error: GanglionError) -> Refusal:
    """How an error of our tree is told."""
    status = status_of(error)
    headers: dict[str, str] = {}
    more: dict[str, object] = dict(getattr(error, "members", {}))
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="ganglion"'
    if isinstance(error, MissingScopeError):
        headers["WWW-Authenticate"] = 'Bearer realm="ganglion", error="insufficient_scope"'
    if isinstance(error, InvalidBodyError):
        more["errors"] = error.faults
    if isinstance(error, TransientError):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after or _RETRY_AFTER)))
    body = problem_body(trail, status, error.code, error.detail, retryable=error.retryable, more=more)
    return Refusal(status, headers, body)


async def answer_error(request: Request, error: Exception) -> Response:
    """The answer to an error of our tree."""
    if not isinstance(error, GanglionError):
        raise error
    told = refusal_of(Trail.of(request.scope), error)
    return Response(to_json(told.body), told.status, told.headers, PROBLEM)


async def answer_http(request: Request, error: Exception) -> Response:
    """The answer to what the router itself refuses: no such route, wrong method, a body too large."""
    if not isinstance(error, HTTPException):
        raise error
    known = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large", 400: "bad_request"}
    code = known.get(error.status_code, "refused")
    detail = HTTPStatus(error.status_code).description or HTTPStatus(error.status_code).phrase
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = _allowed(request) or headers.get("Allow", "")  # the document itself is in no document
    return problem(Trail.of(request.scope), error.status_code, code, detail, headers=headers)


def _allowed(request: Request) -> str:
    """The methods of a path; it may be served by several routes, of which each knows its own only."""
    documented: dict[str, dict[str, object]] = request.app.openapi()["paths"]
    path = request.scope["path"]
    matching = [path] if path in documented else [one for one in documented if compile_path(one)[0].match(path)]
    methods = {name.upper() for template in matching for name in documented[template]}
    if "GET" in methods:
        methods.add("HEAD")
    return ", ".join(sorted(methods))


async def answer_invalid(request: Request, error: Exception) -> Response:
    """The answer to parameters that do not fit."""
    if not isinstance(error, RequestValidationError):
        raise error
    return await answer_error(request, InvalidBodyError(faults_of_parameters(error)))


async def answer_bug(request: Request, error: Exception) -> Response:
    """The answer to a bug: the traceback goes to the log, nothing of it to the client."""
    trail = Trail.of(request.scope)
    log.error("request_failed", request_id=trail.request_id, trace_id=trail.trace_id, exc_info=error)
    return problem(trail, HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", BUG)


def faults_of_parameters(error: RequestValidationError) -> list[Fault]:
    """Which parameters do not fit, and why."""
    return [Fault(field=_place(fault["loc"][1:]), message=fault["msg"]) for fault in error.errors()]


def faults_of(error: ValidationError, sent: object) -> list[Fault]:
    """Where and what, never the value: the paths of what was `sent`, which is JSON as bytes or its value."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    value = _value_of(sent) if isinstance(sent, bytes) else sent
    return [Fault(field=_place(_path(fault, value)), message=fault["msg"]) for fault in found[:32]]


def _value_of(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _path(fault: ErrorDetails, value: object) -> list[int | str]:
    """The steps of a fault's place that lead through what was sent.

    The others are pydantic's words for the member of a union that it tried; only a missing field is no step of either.
    """
    path: list[int | str] = []
    steps = fault["loc"]
    for number, step in enumerate(steps, start=1):
        inside = _inside(value)
        if step in inside:
            value = inside[step]
        elif fault["type"] != "missing" or number < len(steps):
            continue
        path.append(step)
    return path


def _inside(value: object) -> Mapping[int | str, object]:
    if isinstance(value, list):
        return dict(enumerate(value))
    return value if isinstance(value, Mapping) else {}


def _place(steps: Sequence[int | str]) -> str:
    return ".".join(str(step)[:64] for step in steps) or "body"
