"""A workflow in somebody's hands, and which of its versions is deployed."""

from fastapi import APIRouter, Depends
from fastapi.security import HTTPBearer
from starlette.requests import Request
from starlette.responses import Response

from events.workflow import WorkflowControl
from gateway.auth.bearer import WRITE, Principal
from gateway.commands import Commands
from gateway.http.answers import json_answer
from gateway.http.bodies import read_body, read_json, read_optional
from gateway.http.documentation import problems, request_body
from gateway.http.preferences import IdempotencyKey, Key, read_key
from gateway.workflows.access import Access
from gateway.workflows.asking import HOME, asked_about, kept_answer
from gateway.workflows.models import Kept, Workflow
from gateway.workflows.requests import DeployRequest, LockRequest
from gateway.workflows.views import workflow_view
from gateway.workflows.workflows import WorkflowId
from storage.workflows import WorkflowRow

_DEPLOY = f"{HOME}/{{workflow_id}}/deploy"
_LOCK = f"{HOME}/{{workflow_id}}/lock"


class Keeping:
    """The routes; each answers with the workflow as it is then."""

    def __init__(self, access: Access, commands: Commands) -> None:
        self._access = access
        self._commands = commands

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(tags=["workflows"], dependencies=[Depends(HTTPBearer(auto_error=False))])
        told: dict[int | str, dict[str, object]] = {
            200: {"model": Workflow},
            202: {"model": Kept},
            **problems(400, 401, 403, 404, 409, 413, 415, 422, 423, 503),
        }
        router.post(_DEPLOY, summary="Deploy a version", responses=told, openapi_extra=request_body(DeployRequest))(
            self.deploy
        )
        router.put(
            _LOCK,
            summary="Be the only one who may change a workflow",
            responses=told,
            openapi_extra=request_body(LockRequest, required=False),
        )(self.lock)
        router.delete(_LOCK, summary="Let others change it again", responses=told)(self.unlock)
        return router

    async def deploy(
        self,
        request: Request,
        workflow_id: WorkflowId,
        idempotency_key: IdempotencyKey = None,  # noqa: ARG002 - as documented
    ) -> Response:
        """It becomes the `production_version`; nothing is started by that."""
        principal, row = await self._own(request, workflow_id)
        _, body = await read_json(request)
        number = read_body(DeployRequest, body).version_number
        key = read_key(request, principal, _DEPLOY, f"{row.id}\n".encode() + body)
        data = WorkflowControl(workflow_id=row.id, action="deploy", by=principal.owner, number=number)
        return await self._answer(request, principal, row, data, key)

    async def lock(
        self,
        request: Request,
        workflow_id: WorkflowId,
        idempotency_key: IdempotencyKey = None,  # noqa: ARG002 - as documented
    ) -> Response:
        """Until it is unlocked, or its time is over; whoever holds it already holds it for longer."""
        principal, row = await self._own(request, workflow_id)
        asked, body = await read_optional(request, LockRequest)
        key = read_key(request, principal, _LOCK, f"{row.id}\n".encode() + body)
        data = WorkflowControl(workflow_id=row.id, action="lock", by=principal.owner, ttl_seconds=asked.ttl_seconds)
        return await self._answer(request, principal, row, data, key)

    async def unlock(
        self,
        request: Request,
        workflow_id: WorkflowId,
        idempotency_key: IdempotencyKey = None,  # noqa: ARG002 - as documented
    ) -> Response:
        """By who holds the lock, or the workflow's owner. Harmless if nobody does."""
        principal, row = await self._own(request, workflow_id)
        key = read_key(request, principal, f"DELETE {_LOCK}", str(row.id).encode())
        data = WorkflowControl(workflow_id=row.id, action="unlock", by=principal.owner)
        return await self._answer(request, principal, row, data, key)

    async def _own(self, request: Request, workflow_id: str) -> tuple[Principal, WorkflowRow]:
        principal = await self._access.principal(request, WRITE)
        return principal, await self._access.workflow(principal, workflow_id)

    async def _answer(
        self, request: Request, principal: Principal, row: WorkflowRow, data: WorkflowControl, key: Key | None
    ) -> Response:
        answered = await asked_about(self._commands, request, principal, row, data, key=key)
        if answered.outcome is None:
            return kept_answer(row.id, answered.headers)
        return json_answer(workflow_view(await self._access.workflow(principal, str(row.id))), 200, answered.headers)
