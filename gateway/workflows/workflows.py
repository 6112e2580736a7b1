"""/api/workflows: make them, read them, publish the draft."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from fastapi.security import HTTPBearer
from starlette.requests import Request
from starlette.responses import Response

from events.ids import new_id
from events.workflow import WorkflowControl
from gateway.auth.bearer import READ, WRITE
from gateway.commands import Commands
from gateway.errors import NotFoundError
from gateway.http.answers import json_answer
from gateway.http.bodies import read_body, read_json, read_optional
from gateway.http.documentation import problems, request_body
from gateway.http.preferences import IdempotencyKey, read_key
from gateway.tasks.reading import Limit, PlaceText
from gateway.tasks.views import decode_place
from gateway.workflows.access import Access
from gateway.workflows.asking import HOME, Whose, asked_about, asked_of_keeper, kept_answer
from gateway.workflows.models import Draft, Kept, Version, VersionPage, Workflow, WorkflowPage
from gateway.workflows.requests import PublishRequest, WorkflowRequest
from gateway.workflows.views import digests, draft_view, files_view, page, version_view, workflow_view
from storage.reading import Database
from storage.workflows import (
    WorkflowRow,
    find_version,
    find_workflow,
    list_versions,
    list_workflows,
    texts_of,
)

ONE = f"{HOME}/{{workflow_id}}"
Responses = dict[int | str, dict[str, object]]
WorkflowId = Annotated[str, Path(json_schema_extra={"format": "uuid"})]


class Workflows:
    """The routes of workflows themselves."""

    def __init__(self, access: Access, commands: Commands, engine: Database) -> None:
        self._access = access
        self._commands = commands
        self._engine = engine

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(tags=["workflows"], dependencies=[Depends(HTTPBearer(auto_error=False))])
        one: Responses = problems(401, 403, 404, 422, 503)
        kept: Responses = {202: {"model": Kept}, **problems(400, 401, 403, 404, 409, 413, 415, 422, 423, 503)}
        router.post(
            HOME,
            status_code=201,
            summary="Make a workflow",
            responses={201: {"model": Workflow}, **kept},
            openapi_extra=request_body(WorkflowRequest),
        )(self.create)
        router.get(
            HOME,
            summary="Your workflows, newest first",
            responses={200: {"model": WorkflowPage}, **problems(401, 403, 422, 503)},
        )(self.workflows)
        router.get(ONE, summary="One workflow", responses={200: {"model": Workflow}, **one})(self.workflow)
        router.get(f"{ONE}/draft", summary="The draft with its files", responses={200: {"model": Draft}, **one})(
            self.draft
        )
        router.get(
            f"{ONE}/versions",
            summary="Published versions, newest first",
            responses={200: {"model": VersionPage}, **one},
        )(self.versions)
        router.post(
            f"{ONE}/versions",
            status_code=201,
            summary="Publish the draft as the next version",
            responses={201: {"model": Version}, **kept},
            openapi_extra=request_body(PublishRequest, required=False),
        )(self.publish)
        router.get(
            f"{ONE}/versions/{{number}}",
            summary="One version with its files",
            responses={200: {"model": Version}, **one},
        )(self.version)
        return router

    async def create(self, request: Request, idempotency_key: IdempotencyKey = None) -> Response:  # noqa: ARG002 - as documented
        """Its draft holds the files it is made with, if any."""
        principal = await self._access.principal(request, WRITE)
        _, body = await read_json(request)
        asked = read_body(WorkflowRequest, body)
        key = read_key(request, principal, HOME, body)
        data = WorkflowControl(
            workflow_id=key.subject_id if key else new_id(),
            action="create",
            by=principal.owner,
            name=asked.name,
            description=asked.description,
            files=asked.files,
            body_sha256=key.body_sha256 if key else None,
        )
        answered = await asked_of_keeper(self._commands, request, Whose(principal.tenant, principal.owner), data, key)
        row = await find_workflow(self._engine, data.workflow_id) if answered.outcome is not None else None
        headers = {"Location": f"{HOME}/{data.workflow_id}", **answered.headers}
        return kept_answer(data.workflow_id, headers) if row is None else json_answer(workflow_view(row), 201, headers)

    async def workflows(
        self,
        request: Request,
        limit: Limit = 50,
        cursor: PlaceText = None,
    ) -> Response:
        """Your own; with the scope tenant the tenant's."""
        principal = await self._access.principal(request, READ)
        place = decode_place(cursor) if cursor is not None else None
        owner = None if principal.has_tenant else principal.owner
        rows = await list_workflows(self._engine, principal.tenant, owner, place, limit + 1)
        return json_answer(page([workflow_view(row) for row in rows], rows, limit))

    async def workflow(self, request: Request, workflow_id: WorkflowId) -> Response:
        """With a summary of its draft."""
        return json_answer(workflow_view(await self._find(request, workflow_id)))

    async def draft(self, request: Request, workflow_id: WorkflowId) -> Response:
        """Approved proposals are in it."""
        row = await self._find(request, workflow_id)
        texts = await texts_of(self._engine, row.tenant, digests(row.draft_files).values())
        return json_answer(draft_view(row, texts))

    async def versions(
        self,
        request: Request,
        workflow_id: WorkflowId,
        limit: Limit = 50,
        cursor: Annotated[int | None, Query(ge=1, lt=2**31, description="`next_cursor` of the page before")] = None,
    ) -> Response:
        """The newest is the published one, older ones are deprecated."""
        row = await self._find(request, workflow_id)
        found = await list_versions(self._engine, row.id, cursor, limit + 1)
        following = found[limit - 1].number if len(found) > limit else None
        return json_answer({"items": [version_view(one, row) for one in found[:limit]], "next_cursor": following})

    async def version(
        self, request: Request, workflow_id: WorkflowId, number: Annotated[int, Path(ge=1, lt=2**31)]
    ) -> Response:
        """A version never changes."""
        return await self._version(await self._find(request, workflow_id), number, 200, {})

    async def publish(
        self,
        request: Request,
        workflow_id: WorkflowId,
        idempotency_key: IdempotencyKey = None,  # noqa: ARG002 - as documented
    ) -> Response:
        """The draft stays as it is."""
        principal, row = await self._access.to_change(request, workflow_id)
        asked, body = await read_optional(request, PublishRequest)
        key = read_key(request, principal, f"{ONE}/versions", f"{row.id}\n".encode() + body)
        data = WorkflowControl(
            workflow_id=row.id, action="publish", by=principal.owner, expected_version=asked.expected_version
        )
        answered = await asked_about(self._commands, request, principal, row, data, key=key)
        if answered.outcome is None:
            return kept_answer(row.id, answered.headers)
        row = await self._access.workflow(principal, workflow_id)
        return await self._version(row, answered.event.id, 201, answered.headers)

    async def _version(self, row: WorkflowRow, named: int | str, status: int, headers: dict[str, str]) -> Response:
        found = await find_version(self._engine, row.id, named)
        if found is None:
            raise NotFoundError
        texts = await texts_of(self._engine, row.tenant, digests(found.files).values())
        shown = {**version_view(found, row), "files": files_view(found.files, texts)}
        return json_answer(shown, status, {"Location": f"{HOME}/{row.id}/versions/{found.number}", **headers})

    async def _find(self, request: Request, workflow_id: str) -> WorkflowRow:
        return await self._access.workflow(await self._access.principal(request, READ), workflow_id)
