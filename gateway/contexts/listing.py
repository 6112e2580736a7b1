"""Lists of contexts: all of a caller's, or those of a scope, a session or an agent."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from fastapi.security import HTTPBearer
from starlette.requests import Request
from starlette.responses import Response

from events.context import ContextScope
from events.ids import Name
from gateway.auth.bearer import READ, Principal
from gateway.contexts.acting import Contexts
from gateway.contexts.contexts import HOME, READS, Responses
from gateway.contexts.errors import NoSuchSessionError
from gateway.contexts.models import ContextPage, SessionContexts
from gateway.contexts.views import page_view, totals_view
from gateway.http.answers import json_answer
from gateway.tasks.reading import Limit, PlaceText
from gateway.tasks.views import decode_place
from storage.contexts import ContextFilter, list_contexts, totals_of
from storage.reading import Database
from storage.sessions import find_session

SessionId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class ListingRoutes:
    """The routes; none has a context's id, so they come before those that do."""

    def __init__(self, contexts: Contexts, engine: Database) -> None:
        self._contexts = contexts
        self._engine = engine

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(tags=["contexts"], dependencies=[Depends(HTTPBearer(auto_error=False))])

        get = router.get
        page: Responses = {200: {"model": ContextPage}, **READS}
        figures: Responses = {200: {"model": SessionContexts}, **READS}
        get(HOME, summary="Your contexts, newest first", responses=page)(self.page)
        get(f"{HOME}/global", summary="Your global contexts", responses=page)(self.of_all)
        of_session = f"{HOME}/session/{{session_id}}"
        get(of_session, summary="A session's contexts", responses=page)(self.of_session)
        get(f"{of_session}/summary", summary="A session's contexts in figures", responses=figures)(self.summary)
        get(f"{HOME}/agent/{{agent_id}}", summary="Your contexts for an agent", responses=page)(self.of_agent)
        return router

    async def page(
        self,
        request: Request,
        *,
        scope: ContextScope | None = None,
        session_id: Annotated[Name | None, Query()] = None,
        agent_id: Annotated[Name | None, Query()] = None,
        limit: Limit = 50,
        cursor: PlaceText = None,
    ) -> Response:
        """Your own; with the scope tenant the tenant's. Without their data."""
        principal = await self._contexts.principal(request, READ)
        return await self._page(_filter(principal, scope, session_id, agent_id), limit, cursor)

    async def of_all(self, request: Request, limit: Limit = 50, cursor: PlaceText = None) -> Response:
        """Those that belong to no session and no agent."""
        principal = await self._contexts.principal(request, READ)
        return await self._page(_filter(principal, "global"), limit, cursor)

    async def of_session(
        self, request: Request, session_id: SessionId, limit: Limit = 50, cursor: PlaceText = None
    ) -> Response:
        """Of any scope."""
        principal = await self._in_session(request, session_id)
        return await self._page(_filter(principal, session_id=session_id), limit, cursor)

    async def summary(self, request: Request, session_id: SessionId) -> Response:
        """How many, how much, and until when."""
        principal = await self._in_session(request, session_id)
        totals = await totals_of(self._engine, _filter(principal, session_id=session_id))
        return json_answer(totals_view(session_id, totals))

    async def of_agent(
        self, request: Request, agent_id: SessionId, limit: Limit = 50, cursor: PlaceText = None
    ) -> Response:
        """Of any scope; the agent need not be registered."""
        principal = await self._contexts.principal(request, READ)
        return await self._page(_filter(principal, agent_id=agent_id), limit, cursor)

    async def _page(self, wanted: ContextFilter, limit: int, cursor: str | None) -> Response:
        place = decode_place(cursor) if cursor is not None else None
        return json_answer(page_view(await list_contexts(self._engine, wanted, place, limit + 1), limit))

    async def _in_session(self, request: Request, session_id: str) -> Principal:
        principal = await self._contexts.principal(request, READ)
        session = await find_session(self._engine, session_id)
        if session is None or not principal.may_see(session.tenant, session.owner):
            raise NoSuchSessionError
        return principal


def _filter(
    principal: Principal, scope: ContextScope | None = None, session_id: str | None = None, agent_id: str | None = None
) -> ContextFilter:
    owner = None if principal.has_tenant else principal.owner
    return ContextFilter(principal.tenant, owner, scope, session_id, agent_id)
