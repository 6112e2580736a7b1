"""What concerns more than one context, or its past: merge, share, promote, diff, history."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.security import HTTPBearer
from starlette.requests import Request
from starlette.responses import Response

from events.context import ContextChange
from events.ids import new_id
from gateway.auth.bearer import READ, WRITE
from gateway.contexts.acting import Contexts, Whose, expected, tag, whose
from gateway.contexts.contexts import (
    CHANGES,
    HOME,
    ONE,
    READS,
    ContextId,
    changing,
    kept,
    may_be_a_repeat,
    shown,
    tagged,
)
from gateway.contexts.models import Context, ContextDiff, ContextHistory, MergedContext
from gateway.contexts.requests import MergeRequest, PromoteRequest, ShareRequest
from gateway.contexts.views import context_view, diff_view, history_view
from gateway.http.answers import json_answer
from gateway.http.bodies import read_body, read_json, read_optional
from gateway.http.documentation import request_body
from gateway.http.preferences import IdempotencyKey, read_key
from gateway.tasks.reading import Limit
from storage.contexts import list_changes
from storage.reading import Database


class JoiningRoutes:
    """The routes."""

    def __init__(self, contexts: Contexts, engine: Database) -> None:
        self._contexts = contexts
        self._engine = engine

    def router(self) -> APIRouter:
        """The routes; the one without an id comes first."""
        router = APIRouter(tags=["contexts"], dependencies=[Depends(HTTPBearer(auto_error=False))])
        router.post(
            f"{HOME}/merge",
            summary="Join contexts into one",
            responses={200: tagged(MergedContext), **CHANGES},
            openapi_extra=changing(MergeRequest),
        )(self.merge)
        router.post(
            f"{ONE}/share",
            status_code=201,
            summary="Copy a context into another session of yours",
            responses={201: tagged(Context), **CHANGES},
            openapi_extra=request_body(ShareRequest),
        )(self.share)
        router.post(
            f"{ONE}/promote-to-global",
            summary="Make a context of a session or an agent global",
            responses={200: tagged(Context), **CHANGES},
            openapi_extra=changing(PromoteRequest, required=False),
        )(self.promote)
        router.get(
            f"{ONE}/diff/{{other_id}}",
            summary="How another context differs from this one",
            responses={200: {"model": ContextDiff}, **READS},
        )(self.diff)
        router.get(
            f"{ONE}/history",
            summary="The last hundred changes, newest first",
            responses={200: {"model": ContextHistory}, **READS},
        )(self.history)
        return router

    async def merge(self, request: Request, idempotency_key: IdempotencyKey = None) -> Response:  # noqa: ARG002 - as documented
        """With the strategy `manual` nothing is written if they disagree: 409 names the places."""
        principal = await self._contexts.principal(request, WRITE)
        _, body = await read_json(request)
        said = read_body(MergeRequest, body)
        key = read_key(request, principal, f"{HOME}/merge", body)
        target = await self._contexts.find(principal, said.target_id, closed=may_be_a_repeat(request))
        data = ContextChange(
            context_id=said.target_id,
            action="merge",
            by=principal.owner,
            sources=tuple(said.source_ids),
            strategy=said.strategy,
            expected_version=expected(request, said.expected_version),
            body_sha256=key.body_sha256 if key else None,
        )
        answered = await self._contexts.ask(request, whose(target), data, key)
        if answered.outcome is None:
            return kept(data, answered)
        row = await self._contexts.find(principal, said.target_id, closed=answered.replayed)
        changes = await list_changes(self._engine, said.target_id, None, 100)
        conflicts = next((one.conflicts for one in changes if one.event_id == answered.event.id), [])
        return json_answer({**context_view(row), "conflicts": conflicts}, 200, {**tag(row), **answered.headers})

    async def share(
        self,
        request: Request,
        context_id: ContextId,
        idempotency_key: IdempotencyKey = None,  # noqa: ARG002 - as documented
    ) -> Response:
        """The copy goes its own way; a merge brings it back."""
        principal = await self._contexts.principal(request, WRITE)
        source = await self._contexts.find(principal, context_id, closed=may_be_a_repeat(request))
        _, body = await read_json(request)
        said = read_body(ShareRequest, body)
        key = read_key(request, principal, f"{ONE}/share", f"{context_id}\n".encode() + body)
        data = ContextChange(
            context_id=key.subject_id if key else new_id(),
            action="share",
            by=principal.owner,
            session_id=said.session_id,
            sources=(source.about.id,),
            body_sha256=key.body_sha256 if key else None,
        )
        place = Whose(source.about.tenant, source.about.owner, said.session_id)
        return await shown(self._engine, data, await self._contexts.ask(request, place, data, key), status=201)

    async def promote(
        self,
        request: Request,
        context_id: ContextId,
        idempotency_key: IdempotencyKey = None,  # noqa: ARG002 - as documented
    ) -> Response:
        """It belongs to no session and no agent any more, and is kept until it is deleted."""
        principal = await self._contexts.principal(request, WRITE)
        row = await self._contexts.find(principal, context_id, closed=may_be_a_repeat(request))
        said, body = await read_optional(request, PromoteRequest)
        key = read_key(request, principal, f"{ONE}/promote-to-global", f"{context_id}\n".encode() + body)
        data = ContextChange(
            context_id=row.about.id,
            action="promote",
            by=principal.owner,
            expected_version=expected(request, said.expected_version),
            body_sha256=key.body_sha256 if key else None,
        )
        return await shown(self._engine, data, await self._contexts.ask(request, whose(row), data, key))

    async def diff(self, request: Request, context_id: ContextId, other_id: ContextId) -> Response:
        """Key by key; lists are compared whole."""
        principal = await self._contexts.principal(request, READ)
        one = await self._contexts.find(principal, context_id)
        return json_answer(diff_view(one, await self._contexts.find(principal, other_id)))

    async def history(
        self,
        request: Request,
        context_id: ContextId,
        limit: Limit = 50,
        cursor: Annotated[int | None, Query(ge=1, lt=2**31, description="`next_cursor` of the page before")] = None,
    ) -> Response:
        """Which places changed, by whom, when; what they held is in the log, under the `event_id`."""
        row = await self._contexts.find(await self._contexts.principal(request, READ), context_id)
        return json_answer(history_view(await list_changes(self._engine, row.about.id, cursor, limit + 1), limit))
