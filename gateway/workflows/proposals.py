"""/api/proposals: read them, compare them with the draft, decide them, and let others do so."""

import asyncio
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query
from fastapi.security import HTTPBearer
from starlette.requests import Request
from starlette.responses import Response

from gateway.auth.bearer import READ, Principal
from gateway.errors import NotFoundError
from gateway.http.answers import json_answer
from gateway.http.documentation import HEADERS, problems
from gateway.tasks.lookup import parsed_id
from gateway.tasks.reading import Limit, PlaceText
from gateway.tasks.views import View, decode_place
from gateway.workflows.access import Access
from gateway.workflows.diffs import MEDIA_TYPE
from gateway.workflows.errors import NotReadyError, not_ready
from gateway.workflows.models import Proposal, ProposalPage, ProposalStatus
from gateway.workflows.refining import Nursery
from gateway.workflows.views import (
    diff_of,
    digests,
    has_files,
    page,
    processing_view,
    proposal_summary,
    proposal_view,
)
from storage.proposals import ProposalFilter, ProposalRow, list_proposals
from storage.reading import Database
from storage.workflows import texts_of

HOME = "/api/proposals"
ONE = f"{HOME}/{{proposal_id}}"
ProposalId = Annotated[str, Path(json_schema_extra={"format": "uuid"})]
_DIFF: dict[str, object] = {
    "description": "A unified diff",
    "headers": {"ETag": HEADERS["ETag"]},
    "content": {MEDIA_TYPE: {"schema": {"type": "string"}}},
}


class Proposals:
    """The routes that change nothing."""

    def __init__(self, access: Access, nursery: Nursery, engine: Database) -> None:
        self._access = access
        self._nursery = nursery
        self._engine = engine

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(tags=["proposals"], dependencies=[Depends(HTTPBearer(auto_error=False))])
        one = problems(401, 403, 404, 422, 503)
        router.get(
            HOME,
            summary="Proposals of yours and shared with you, newest first",
            responses={200: {"model": ProposalPage}, **problems(401, 403, 422, 503)},
        )(self.proposals)
        router.get(
            ONE,
            summary="One proposal with its files, or (Accept: text/x-diff) as a diff",
            responses={200: {"model": Proposal, **_DIFF, "description": "With its files"}, **one, **problems(409)},
        )(self.proposal)
        router.get(
            f"{ONE}/diff",
            summary="What it changes, for `git apply` and `patch -p1`",
            response_class=Response,
            responses={200: _DIFF, **one, **problems(409)},
        )(self.diff)
        return router

    async def proposals(
        self,
        request: Request,
        *,
        workflow_id: Annotated[UUID | None, Query()] = None,
        status: Annotated[list[ProposalStatus], Query(max_length=6)] = [],  # noqa: B006 - FastAPI copies defaults
        limit: Limit = 50,
        cursor: PlaceText = None,
    ) -> Response:
        """With the scope tenant the tenant's."""
        principal = await self._access.principal(request, READ)
        wanted = ProposalFilter(
            tenant=principal.tenant,
            owner=None if principal.has_tenant else principal.owner,
            workflow_id=workflow_id,
            status=status,
        )
        place = decode_place(cursor) if cursor is not None else None
        rows = await list_proposals(self._engine, wanted, place, limit + 1)
        return json_answer(page([proposal_summary(row) for row in rows], rows, limit))

    async def proposal(self, request: Request, proposal_id: ProposalId) -> Response:
        """Readable from the moment it was asked for. The ETag is the digest that `If-Match` takes."""
        principal = await self._access.principal(request, READ)
        if request.headers.get("accept", "").partition(";")[0].strip().lower() == MEDIA_TYPE:
            return await self.diff(request, proposal_id)
        found = await self._find(principal, proposal_id)
        return await self.shown(found) if isinstance(found, ProposalRow) else json_answer(found)

    async def shown(self, row: ProposalRow) -> Response:
        """The answer of GET. The diff is made beside the event loop: it may take seconds."""
        view = await asyncio.to_thread(proposal_view, row, await self._texts(row))
        return json_answer(view, 200, _etag(row))

    async def diff(self, request: Request, proposal_id: ProposalId) -> Response:
        """Against the draft that it was made for."""
        found = await self._find(await self._access.principal(request, READ), proposal_id)
        if not isinstance(found, ProposalRow):
            raise NotReadyError
        if not has_files(found):
            raise not_ready(found)
        text = await asyncio.to_thread(diff_of, found, await self._texts(found))
        return Response(text, 200, _etag(found), f"{MEDIA_TYPE}; charset=utf-8")

    async def _find(self, principal: Principal, proposal_id: str) -> ProposalRow | View:
        """The row, or what is known before there is one."""
        named = parsed_id(proposal_id)
        try:
            return await self._access.proposal(principal, named)
        except NotFoundError:
            young = self._nursery.get(named)
            if young is None or not principal.may_see(young.tenant, young.owner):
                raise
            asked = young.request
            return processing_view(
                young.task_id,
                young.workflow_id,
                young.owner,
                {
                    "user_prompt": asked.instructions,
                    "context_file_path": asked.context_file_path,
                    "context_selection": asked.context_selection,
                },
                young.created_at,
            )

    async def _texts(self, row: ProposalRow) -> dict[str, str]:
        if not has_files(row):
            return {}
        wanted = (*digests(row.base_files).values(), *digests(row.files or {}).values())
        return await texts_of(self._engine, row.tenant, wanted)


def _etag(row: ProposalRow) -> dict[str, str]:
    return {"ETag": f'"{row.digest}"'} if has_files(row) else {}
