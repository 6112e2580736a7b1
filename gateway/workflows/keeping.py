"""What is done to a workflow as a whole: its draft is thrown away, a version deployed, others are locked out."""

from fastapi import APIRouter, Depends
from fastapi.security import HTTPBearer
from starlette.requests import Request
from starlette.responses import Response

from events.workflow import WorkflowControl
from gateway.auth.bearer import Principal
from gateway.commands import Commands
from gateway.http.answers import json_answer
from gateway.http.bodies import read_body, read_json, read_optional
from gateway.http.documentation import problems, request_body
from gateway.http.preferences import IdempotencyKey, Key, read_key
from gateway.workflows.access import Access
from gateway.workflows.asking import asked_about, kept_answer
from gateway.workflows.models import Kept, Workflow
from gateway.workflows.requests import DeployRequest, LockRequest
from gateway.workflows.views import workflow_view
from gateway.workflows.workflows import ONE, Responses, WorkflowId
from storage.workflows import WorkflowRow

_DRAFT = f"{ONE}/draft"
_DEPLOY = f"{ONE}/deploy"
_LOCK = f"{ONE}/lock"


class Keeping:
    """The routes; each answers with the workflow as it is then."""

    def __init__(self, access: Access, commands: Commands) -> None:
        self._access = access
        self._commands = commands

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(tags=["workflows"], dependencies=[Depends(HTTPBearer(auto_error=False))])
        told: Responses = {
            200: {"model": Workflow},
            202: {"model": Kept},
            **problems(400, 401, 403, 404, 409, 413, 415, 422, 423, 503),
        }
        router.delete(_DRAFT, summary="Make the draft what was published last", responses=told)(self.discard)
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

    async def discard(
        self,
        request: Request,
        workflow_id: WorkflowId,
        idempotency_key: IdempotencyKey = None,  # noqa: ARG002 - as documented
    ) -> Response:
        """Proposals made for the old draft are superseded. Nothing changes if nothing is different."""
        principal, row = await self._access.to_change(request, workflow_id)
        key = read_key(request, principal, _DRAFT, str(row.id).encode())
        data = WorkflowControl(workflow_id=row.id, action="discard", by=principal.owner)
        return await self._answer(request, principal, row, data, key)

    async def deploy(
        self,
        request: Request,
        workflow_id: WorkflowId,
        idempotency_key: IdempotencyKey = None,  # noqa: ARG002 - as documented
    ) -> Response:
        """It becomes the `production_version`; nothing is started by that."""
        principal, row = await self._access.to_change(request, workflow_id)
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
        principal, row = await self._access.to_change(request, workflow_id)
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
        principal, row = await self._access.to_change(request, workflow_id)
        key = read_key(request, principal, f"DELETE {_LOCK}", str(row.id).encode())
        data = WorkflowControl(workflow_id=row.id, action="unlock", by=principal.owner)
        return await self._answer(request, principal, row, data, key)

    async def _answer(
        self, request: Request, principal: Principal, row: WorkflowRow, data: WorkflowControl, key: Key | None
    ) -> Response:
        answered = await asked_about(self._commands, request, principal, row, data, key=key)
        if answered.outcome is None:
            return kept_answer(row.id, answered.headers)
        return json_answer(workflow_view(await self._access.workflow(principal, str(row.id))), 200, answered.headers)
