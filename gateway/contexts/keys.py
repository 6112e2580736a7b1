"""/api/v1/contexts/{id}/keys/{path}: one place of a context at a time."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from fastapi.security import HTTPBearer
from starlette.requests import Request
from starlette.responses import Response

from events.context import ContextChange, ContextOp
from events.context_data import MAX_PLACE, find
from gateway.auth.bearer import READ, WRITE, Principal
from gateway.contexts.acting import Contexts, expected, tag, whose
from gateway.contexts.contexts import CHANGES, IF_MATCH, ONE, READS, ContextId, changing, kept, may_be_a_repeat, tagged
from gateway.contexts.errors import KeyNotFoundError
from gateway.contexts.models import ContextValue
from gateway.contexts.requests import PLACE, KeyRequest
from gateway.http.answers import json_answer
from gateway.http.bodies import read_body, read_json
from gateway.http.preferences import IdempotencyKey, Key, read_key
from storage.contexts import ContextRow

_KEY = f"{ONE}/keys/{{path:path}}"
PlacePath = Annotated[
    str, Path(min_length=1, max_length=MAX_PLACE, pattern=PLACE, description="Keys with dots between them")
]


class KeyRoutes:
    """Read, set and delete what is at a place."""

    def __init__(self, contexts: Contexts) -> None:
        self._contexts = contexts

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(tags=["contexts"], dependencies=[Depends(HTTPBearer(auto_error=False))])
        router.get(_KEY, summary="One place of a context", responses={200: tagged(ContextValue), **READS})(self.get)
        router.put(
            _KEY,
            summary="Set one place of a context",
            responses={200: tagged(ContextValue), **CHANGES},
            openapi_extra=changing(KeyRequest),
        )(self.put)
        router.delete(
            _KEY,
            summary="Take one place of a context away",
            status_code=204,
            responses={204: {}, **CHANGES},
            openapi_extra={"parameters": [IF_MATCH]},
        )(self.delete)
        return router

    async def get(self, request: Request, context_id: ContextId, path: PlacePath) -> Response:
        """A place that holds null is there."""
        row = await self._contexts.find(await self._contexts.principal(request, READ), context_id)
        found = find(row.data, path)
        if found is None:
            raise KeyNotFoundError
        return json_answer({"path": path, "value": found.value, "version": row.about.version}, 200, tag(row))

    async def put(
        self,
        request: Request,
        context_id: ContextId,
        path: PlacePath,
        idempotency_key: IdempotencyKey = None,  # noqa: ARG002 - as documented
    ) -> Response:
        """Objects on the way there are made."""
        principal, row = await self._found(request, context_id)
        _, body = await read_json(request)
        said = read_body(KeyRequest, body)
        key = read_key(request, principal, _KEY, f"{context_id}\n{path}\n".encode() + body)
        step = ContextOp(op="set", path=path, value=said.value)
        data = _stepped(principal, row, step, key, expected(request, said.expected_version))
        answered = await self._contexts.ask(request, whose(row), data, key)
        if answered.outcome is None:
            return kept(data, answered)
        row = await self._contexts.find(principal, context_id, closed=answered.replayed)
        body_of = {"path": path, "value": said.value, "version": row.about.version}
        return json_answer(body_of, 200, {**tag(row), **answered.headers})

    async def delete(
        self,
        request: Request,
        context_id: ContextId,
        path: PlacePath,
        idempotency_key: IdempotencyKey = None,  # noqa: ARG002 - as documented
    ) -> Response:
        """404 if nothing is there."""
        principal, row = await self._found(request, context_id)
        key = read_key(request, principal, _KEY, f"{context_id}\n{path}".encode())
        if key is None and find(row.data, path) is None:
            raise KeyNotFoundError
        step = ContextOp(op="delete", path=path)
        data = _stepped(principal, row, step, key, expected(request, None))
        answered = await self._contexts.ask(request, whose(row), data, key)
        if answered.outcome is None:
            return kept(data, answered)
        return Response(status_code=204, headers=answered.headers)

    async def _found(self, request: Request, context_id: str) -> tuple[Principal, ContextRow]:
        principal = await self._contexts.principal(request, WRITE)
        return principal, await self._contexts.find(principal, context_id, closed=may_be_a_repeat(request))


def _stepped(
    principal: Principal, row: ContextRow, step: ContextOp, key: Key | None, seen: int | None
) -> ContextChange:
    return ContextChange(
        context_id=row.about.id,
        action="change",
        by=principal.owner,
        ops=(step,),
        expected_version=seen,
        body_sha256=key.body_sha256 if key else None,
    )
