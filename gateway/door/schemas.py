"""What events must be, as JSON Schemas to validate with: `/schemas/{type}/v1` for the data of each type.

Of a type that may come from outside it is what a sender must send, of every other what a subscriber will see.
"""

from functools import cache
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from events.base import CATALOGUE, TYPE_PREFIX, JsonObject
from gateway.door import documents
from gateway.door.arrival import Attributes
from gateway.door.rules import Rules
from gateway.errors import NotFoundError
from gateway.http.answers import json_answer
from gateway.http.documentation import problems

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_MEDIA_TYPE = "application/schema+json"
_KEPT = {"Cache-Control": "public, max-age=300"}
_PUBLIC: dict[str, object] = {"security": []}
ENVELOPE = "cloudevent"


class Schemas:
    """The routes; nobody needs a token to know what to send."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(tags=["events"])
        router.get(
            "/schemas",
            summary="Every type of event and where its schema is",
            responses={200: {"model": documents.SchemaIndex}, **problems(429)},
            openapi_extra=_PUBLIC,
        )(self.index)
        router.get(
            "/schemas/{name}/v1",
            summary="The JSON Schema of a type's data; `cloudevent` for the attributes around it",
            response_class=Response,
            responses={200: {"content": {_MEDIA_TYPE: {"schema": {"type": "object"}}}}, **problems(404, 422, 429)},
            openapi_extra=_PUBLIC,
        )(self.schema)
        return router

    async def index(self) -> Response:
        """`sent`: may come from outside, and with which scope."""
        rules = {kind: self._rules.get(kind) for kind in CATALOGUE}
        items = [
            {
                "type": kind,
                "schema": f"/schemas/{short_name(kind)}/v1",
                "sent": rule is not None,
                "by": rule.who if rule else None,
                "scope": rule.scope if rule else None,
            }
            for kind, rule in sorted(rules.items())
        ]
        return json_answer({"envelope": f"/schemas/{ENVELOPE}/v1", "items": items}, headers=dict(_KEPT))

    async def schema(self, request: Request, name: Annotated[str, Path(max_length=128)]) -> Response:
        """`name` is `task.submitted`, or the whole `io.ganglion.task.submitted`."""
        model: type[BaseModel] | None = Attributes if name == ENVELOPE else self._model(name)
        if model is None:
            raise NotFoundError("There is no such type of event; /schemas lists them.")
        where = str(request.url.replace(query=None))
        document = {"$schema": _DIALECT, "$id": where, **_schema_of(model)}
        return json_answer(document, headers={**_KEPT, "Content-Type": _MEDIA_TYPE})

    def _model(self, name: str) -> type[BaseModel] | None:
        event_type = f"{TYPE_PREFIX}.{name.removeprefix(TYPE_PREFIX + '.')}.v1"
        rule = self._rules.get(event_type)
        return rule.said if rule else CATALOGUE.get(event_type)


def short_name(event_type: str) -> str:
    """`task.submitted` of `io.ganglion.task.submitted.v1`."""
    return event_type.removeprefix(f"{TYPE_PREFIX}.").removesuffix(".v1")


@cache
def _schema_of(model: type[BaseModel]) -> JsonObject:
    if model is Attributes:
        return _envelope()
    schema: JsonObject = TypeAdapter(model).json_schema(mode="validation")
    return schema


def _envelope() -> JsonObject:
    """Extension attributes stand beside the others in an event's JSON, not below a member of their own."""
    schema: JsonObject = TypeAdapter(Attributes).json_schema(mode="validation")
    properties, required = schema["properties"], schema["required"]
    assert isinstance(properties, dict) and isinstance(required, list)  # noqa: S101, PT018 - a model's own schema
    extension = properties.pop("extensions")
    assert isinstance(extension, dict)  # noqa: S101 - as above
    schema["additionalProperties"] = extension["additionalProperties"]
    schema["required"] = [name for name in required if name != "extensions"]
    schema["propertyNames"] = {"pattern": "^[a-z0-9]{1,20}$"}
    return schema
