"""One OpenAPI document for all routes: what FastAPI derives, and the plain handlers described by their models."""

from typing import NotRequired

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from typing_extensions import TypedDict

from gateway.contexts.requests import ChangeContextRequest
from gateway.http.documentation import HEADERS, REF, JsonMap, problems, ref
from gateway.http.models import Problem
from gateway.sessions.requests import BulkRequest
from gateway.tasks.models import Accepted, FacadeTask, SubmitAccepted, Task
from gateway.tasks.requests import SubmitRequest, TaskRequest

_DOCUMENTED = (
    SubmitRequest,
    TaskRequest,
    BulkRequest,
    ChangeContextRequest,
    Accepted,
    SubmitAccepted,
    FacadeTask,
    Task,
    Problem,
)
_SENT = {"201": ("Location",), "202": ("Location",), "401": ("WWW-Authenticate",), "403": ("WWW-Authenticate",)}


class _Operation(TypedDict):
    """As much of an operation of the document as is added to."""

    parameters: NotRequired[list[dict[str, str]]]
    responses: dict[str, dict[str, JsonMap]]


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
        for operation in (operation for methods in paths.values() for operation in methods.values()):
            _add_headers(operation)
        document["security"] = [{"HTTPBearer": []}]
        app.openapi_schema = document
    return app.openapi_schema


def _add_models(document: JsonMap) -> None:
    components = document.setdefault("components", {})
    assert isinstance(components, dict)  # noqa: S101 - get_openapi's own structure
    _, generated = models_json_schema([(model, "validation") for model in _DOCUMENTED], ref_template=REF)
    schemas = components.setdefault("schemas", {})
    for name, schema in generated["$defs"].items():
        schemas.setdefault(name, schema)
    components["securitySchemes"] = {"HTTPBearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}


def _add_headers(operation: _Operation) -> None:
    """What answers carry because of their status, and because of a header of the request."""
    asked = {one["name"].lower() for one in operation.get("parameters", []) if one["in"] == "header"}
    for status, answer in operation["responses"].items():
        sent = list(_SENT.get(status, ()))
        if status.startswith("2") and "idempotency-key" in asked:
            sent.append("Idempotency-Replayed")
        if status.startswith("2") and "prefer" in asked:
            sent += ["Preference-Applied", *(["Content-Location"] if status == "200" else [])]
        if sent:
            answer.setdefault("headers", {}).update({name: HEADERS[name] for name in sent})


def _door(summary: str, body: type[BaseModel], accepted: type[BaseModel], waited: type[BaseModel]) -> JsonMap:
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
        "requestBody": {"required": True, "content": {"application/json": {"schema": ref(body)}}},
        "responses": {
            "200": {"description": "Waited for, and ended", "content": {"application/json": {"schema": ref(waited)}}},
            "202": {
                "description": "Kept",
                "content": {"application/json": {"schema": ref(accepted)}},
            },
            **{str(status): answer for status, answer in problems(400, 401, 403, 409, 413, 415, 422, 503).items()},
        },
    }
