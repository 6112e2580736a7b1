"""One OpenAPI document for all routes: what FastAPI derives, and the plain handlers described by their models."""

from functools import cache

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

from gateway.errors import PROBLEM
from gateway.http.models import Problem
from gateway.sessions.requests import BulkRequest
from gateway.tasks.models import Accepted, FacadeTask, SubmitAccepted, Task
from gateway.tasks.requests import SubmitRequest, TaskRequest

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
    410: "It was here and is gone for good",
    412: "It is not what If-Match names",
    413: "The body is larger than 1 MiB",
    415: "The body must be application/json",
    422: "The request does not fit the contract",
    429: "Too many requests; Retry-After says when to come back",
    502: "The agent failed at it",
    503: "Not now: see `code` and Retry-After",
    504: "The agent did not answer in time and was stopped",
}
_REF = "#/components/schemas/{model}"
_DOCUMENTED = (SubmitRequest, TaskRequest, BulkRequest, Accepted, SubmitAccepted, FacadeTask, Task, Problem)


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
    return TypeAdapter(model).json_schema(ref_template=_REF)


def describe(app: FastAPI) -> dict[str, object]:
    """The document; built once and kept by the application."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            openapi_version=app.openapi_version,
            description=app.description,
            routes=app.routes,
        )
        _add_models(document)
        paths = document["paths"]
        paths.setdefault("/submit", {})["post"] = _door("Submit a goal", SubmitRequest, SubmitAccepted, FacadeTask)
        paths.setdefault("/api/v1/tasks", {})["post"] = _door("Create a task", TaskRequest, Accepted, Task)
        document["security"] = [{"HTTPBearer": []}]
        app.openapi_schema = document
    return app.openapi_schema


def _add_models(document: JsonMap) -> None:
    components = document.setdefault("components", {})
    assert isinstance(components, dict)  # noqa: S101 - get_openapi's own structure
    _, generated = models_json_schema([(model, "validation") for model in _DOCUMENTED], ref_template=_REF)
    schemas = components.setdefault("schemas", {})
    for name, schema in generated["$defs"].items():
        schemas.setdefault(name, schema)
    components["securitySchemes"] = {"HTTPBearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}


def _door(summary: str, body: type[BaseModel], accepted: type[BaseModel], waited: type[BaseModel]) -> JsonMap:
    replayed = {"Idempotency-Replayed": {"schema": {"type": "string", "enum": ["true"]}}}
    return {
        "tags": ["tasks"],
        "summary": summary,
        "operationId": f"post_{body.__name__}",
        "parameters": [
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "description": "A repeat with the same body gets the first answer",
                "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[\x21-\x7e]+$"},
            },
            {
                "name": "Prefer",
                "in": "header",
                "required": False,
                "description": "`wait=N`: answer 200 if the task ends within N (at most 60) seconds",
                "schema": {"type": "string"},
            },
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": _ref(body)}}},
        "responses": {
            "200": {"description": "Waited for, and ended", "content": {"application/json": {"schema": _ref(waited)}}},
            "202": {
                "description": "Kept",
                "headers": {"Location": {"schema": {"type": "string"}}, **replayed},
                "content": {"application/json": {"schema": _ref(accepted)}},
            },
            **{str(status): answer for status, answer in problems(400, 401, 403, 409, 413, 415, 422, 503).items()},
        },
    }


def _problem(status: int) -> dict[str, object]:
    answer: dict[str, object] = {
        "description": _WORDS[status],
        "content": {PROBLEM: {"schema": _ref(Problem)}},
    }
    return {**answer, "headers": _RETRY} if status in (408, 429, 503) else answer


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REF.format(model=model.__name__)}
