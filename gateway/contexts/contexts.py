"""/api/v1/contexts: make, read, change and delete them."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from fastapi.security import HTTPBearer
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from events.context import ContextChange
from events.ids import new_id
from gateway.auth.bearer import READ, WRITE
from gateway.commands import KEPT, Answered
from gateway.contexts.acting import Contexts, Whose, expected, tag, whose
from gateway.contexts.models import Context, ContextKept
from gateway.contexts.requests import ChangeContextRequest, CreateContextRequest
from gateway.contexts.views import context_view
from gateway.http.answers import json_answer
from gateway.http.bodies import read_body, read_json
from gateway.http.documentation import HEADERS, problems, request_body
from gateway.http.preferences import IdempotencyKey, read_key
from storage.contexts import find_context
from storage.reading import Database

HOME = "/api/v1/contexts"
ONE = f"{HOME}/{{context_id}}"
Responses = dict[int | str, dict[str, object]]
ContextId = Annotated[str, Path(json_schema_extra={"format": "uuid"})]
SessionId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$")]

IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "The ETag that was seen: its version in quotes; another one is 412",
    "schema": {"type": "string"},
}
READS = problems(401, 403, 404, 422, 503)
CHANGES: Responses = {
    202: {"model": ContextKept},
    **problems(400, 401, 403, 404, 409, 412, 413, 415, 422, 503),
}


def tagged(model: type[BaseModel]) -> dict[str, object]:
    """An answer that comes with the context's ETag."""
    return {"model": model, "headers": {"ETag": HEADERS["ETag"]}}


def changing(model: type[BaseModel], *, required: bool = True) -> dict[str, object]:
    """What a route says of itself that changes a context by a body."""
    return {**request_body(model, required=required), "parameters": [IF_MATCH]}


class ContextRoutes:
    """The routes of contexts themselves."""

    def __init__(self, contexts: Contexts, engine: Database) -> None:
        self._contexts = contexts
        self._engine = engine

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(tags=["contexts"], dependencies=[Depends(HTTPBearer(auto_error=False))])

        router.post(
            HOME,
            status_code=201,
            summary="Make a context",
            responses={201: tagged(Context), **CHANGES},
            openapi_extra=request_body(CreateContextRequest),
        )(self.create)
        router.get(ONE, summary="One context", responses={200: tagged(Context), **READS})(self.get)
        router.patch(
            ONE,
            summary="Change a context step by step",
            responses={200: tagged(Context), **CHANGES},
            openapi_extra=changing(ChangeContextRequest),
        )(self.change)
        router.delete(
            ONE,
            status_code=204,
            summary="Delete a context",
            responses={204: {}, **CHANGES},
            openapi_extra={"parameters": [IF_MATCH]},
        )(self.delete)
        return router

    async def create(self, request: Request, idempotency_key: IdempotencyKey = None) -> Response:  # noqa: ARG002 - as documented
        """It is kept for as long as its scope says: an hour, a day, a week, or until it is deleted."""
        principal = await self._contexts.principal(request, WRITE)
        _, body = await read_json(request)
        said = read_body(CreateContextRequest, body)
        key = read_key(request, principal, HOME, body)
        data = ContextChange(
            context_id=key.subject_id if key else new_id(),
            action="create",
            by=principal.owner,
            scope=said.scope,
            session_id=said.session_id,
            agent_id=said.agent_id,
            data=said.data,
            ttl_seconds=said.ttl_seconds,
            body_sha256=key.body_sha256 if key else None,
        )
        mine = Whose(principal.tenant, principal.owner, said.session_id)
        answered = await self._contexts.ask(request, mine, data, key)
        return await shown(self._engine, data, answered, status=201)

    async def get(self, request: Request, context_id: ContextId) -> Response:
        """Its ETag is its version, for If-Match."""
        row = await self._contexts.find(await self._contexts.principal(request, READ), context_id)
        return json_answer(context_view(row), 200, tag(row))

    async def change(
        self,
        request: Request,
        context_id: ContextId,
        idempotency_key: IdempotencyKey = None,  # noqa: ARG002 - as documented
    ) -> Response:
        """Where nothing becomes different the version stays."""
        principal = await self._contexts.principal(request, WRITE)
        row = await self._contexts.find(principal, context_id, closed=may_be_a_repeat(request))
        _, body = await read_json(request)
        said = read_body(ChangeContextRequest, body)
        key = read_key(request, principal, ONE, f"{context_id}\n".encode() + body)
        data = ContextChange(
            context_id=row.about.id,
            action="change",
            by=principal.owner,
            ops=said.steps(),
            expected_version=expected(request, said.expected_version),
            body_sha256=key.body_sha256 if key else None,
        )
        return await shown(self._engine, data, await self._contexts.ask(request, whose(row), data, key))

    async def delete(
        self,
        request: Request,
        context_id: ContextId,
        idempotency_key: IdempotencyKey = None,  # noqa: ARG002 - as documented
    ) -> Response:
        """Nobody reads it any more; the commands that wrote it stay in the log."""
        principal = await self._contexts.principal(request, WRITE)
        row = await self._contexts.find(principal, context_id, closed=may_be_a_repeat(request))
        key = read_key(request, principal, ONE, str(row.about.id).encode())
        seen = expected(request, None)
        data = ContextChange(context_id=row.about.id, action="delete", by=principal.owner, expected_version=seen)
        answered = await self._contexts.ask(request, whose(row), data, key)
        if answered.outcome is None:
            return kept(data, answered)
        return Response(status_code=204, headers=answered.headers)


def may_be_a_repeat(request: Request) -> bool:
    """Whether its answer may have been given before the context was closed."""
    return "idempotency-key" in request.headers


async def shown(engine: Database, data: ContextChange, answered: Answered, status: int = 200) -> Response:
    """The context as it is after a command, or 202 while the database does not have it."""
    row = await find_context(engine, data.context_id) if answered.outcome is not None else None
    if row is None:
        return kept(data, answered)
    place = {"Location": f"{HOME}/{data.context_id}"} if status == 201 else {}
    return json_answer(context_view(row), status, {**place, **tag(row), **answered.headers})


def kept(data: ContextChange, answered: Answered) -> Response:
    """202: the log has it, the database will follow."""
    headers = {"Location": f"{HOME}/{data.context_id}", **answered.headers}
    return json_answer({"id": data.context_id, "message": KEPT}, 202, headers)
