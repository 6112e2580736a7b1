"""What the routes say of themselves in the OpenAPI document: problems, bodies, streams, cursors."""

from functools import cache

from pydantic import BaseModel, TypeAdapter

from gateway.errors import PROBLEM
from gateway.http.models import Problem

JsonMap = dict[str, object]

EVENT_STREAM: dict[str, object] = {
    "description": "Events; `id` is the cursor, `event` the name, `data` a JSON object",
    "content": {"text/event-stream": {"schema": {"type": "object", "required": ["data"]}}},
}
_RETRY = {"Retry-After": {"description": "Seconds", "schema": {"type": "integer", "minimum": 1}}}
CURSOR = r"^(|0|[0-9a-z]{1,24}-[0-9]{1,18})$"
"""A place in the log, as events.cursor reads it; empty is as good as absent."""

_WORDS = {
    400: "The body is not JSON",
    401: "A valid bearer token is needed",
    403: "The token lacks the scope",
    404: "Nothing of yours under this id",
    408: "The body did not come to its end within 30 seconds",
    409: "In conflict with what is",
    410: "It was here and is not any more",
    412: "It is not what If-Match names",
    413: "The body is larger than 1 MiB",
    415: "The body must be application/json",
    422: "The request does not fit the contract",
    423: "Somebody else holds the lock",
    429: "Too many requests; Retry-After says when to come back",
    502: "The agent failed at it",
    503: "Not now: see `code` and Retry-After",
    504: "The agent did not answer in time and was stopped",
}
HEADERS: dict[str, JsonMap] = {
    "Location": {"description": "Where it is", "schema": {"type": "string"}},
    "Content-Location": {"description": "What the body shows", "schema": {"type": "string"}},
    "ETag": {"description": "For If-Match: what was looked at", "schema": {"type": "string"}},
    "Idempotency-Replayed": {
        "description": "With the answer to a repeat only",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Preference-Applied": {"description": "`wait=N`, if it was waited", "schema": {"type": "string"}},
    "WWW-Authenticate": {"description": "How to come with a token, and what it lacks", "schema": {"type": "string"}},
}
"""What answers carry beside their bodies."""
REF = "#/components/schemas/{model}"
"""The place of a model in the document."""


def problems(*statuses: int) -> dict[int | str, dict[str, object]]:
    """The documented error answers of a route.

    Who is asked for a token is counted: 429 goes with 401. What may be too large may also come too slowly: 408 goes
    with 413.
    """
    counted = (429,) if 401 in statuses else ()
    timed = (408,) if 413 in statuses else ()
    return {status: _problem(status) for status in (*statuses, *counted, *timed)}


def request_body(model: type[BaseModel], *, required: bool = True) -> dict[str, object]:
    """A JSON body, for a handler that reads it itself."""
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": _schema_of(model)}}}}


@cache
def _schema_of(model: type[BaseModel]) -> JsonMap:
    return TypeAdapter(model).json_schema(ref_template=REF)


def _problem(status: int) -> dict[str, object]:
    answer: dict[str, object] = {
        "description": _WORDS[status],
        "content": {PROBLEM: {"schema": ref(Problem)}},
    }
    return {**answer, "headers": _RETRY} if status in (408, 429, 503) else answer


def ref(model: type[BaseModel]) -> dict[str, str]:
    """Where the document describes a model."""
    return {"$ref": REF.format(model=model.__name__)}
