"""`/api/v1/sessions`: create, list, get, update, act, delete."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.security import HTTPBearer
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from events.session import SessionKind
from events.task import ControlAction
from gateway.auth.bearer import READ, WRITE, Authenticator
from gateway.http.answers import json_answer
from gateway.http.bodies import read_body, read_json
from gateway.http.documentation import problems, request_body
from gateway.http.preferences import IdempotencyKey, read_key
from gateway.sessions.acting import Body, Command, Sessions
from gateway.sessions.bulk import Bulk
from gateway.sessions.creating import Creating
from gateway.sessions.models import BulkAnswer, Session, SessionAccepted, SessionKept, SessionPage, SessionStatus
from gateway.sessions.paths import HOME, ONE, SessionId
from gateway.sessions.requests import (
    ActionRequest,
    BulkRequest,
    CompleteSessionRequest,
    CreateSessionRequest,
    FailSessionRequest,
    SessionType,
    UpdateSessionRequest,
)
from gateway.sessions.showing import Include, Showing
from gateway.sessions.telling import done_answer, kept_answer, replayed_headers, said_or_nothing
from gateway.sessions.view import STANDINGS
from gateway.tasks.requests import PriorityFilter, priority_of
from gateway.trail import Trail
from storage.sessions import SessionFilter

ACTIONS: tuple[tuple[ControlAction, type[Body], str], ...] = (
    ("start", ActionRequest, "Let a session begin that waits for it"),
    ("pause", ActionRequest, "Stop its agent for now"),
    ("resume", ActionRequest, "Let a paused session go on"),
    ("cancel", ActionRequest, "End it"),
    ("complete", CompleteSessionRequest, "Say that it is done"),
    ("fail", FailSessionRequest, "Say that it cannot go on"),
)

Handler = Callable[..., Awaitable[Response]]
_TEXT = r"^[^\x00]+$"
"""What a database can look for: it keeps no NUL."""


class SessionRoutes:
    """One handler a route."""

    def __init__(
        self, *, authenticator: Authenticator, sessions: Sessions, creating: Creating, showing: Showing
    ) -> None:
        self._authenticator = authenticator
        self._sessions = sessions
        self._creating = creating
        self._showing = showing
        self._bulk = Bulk(sessions)

    def router(self) -> APIRouter:
        """The routes; those without an id come first, so that none hides another."""
        router = APIRouter(tags=["sessions"], dependencies=[Depends(HTTPBearer(auto_error=False))])
        one = problems(401, 403, 404, 422, 503)
        change = problems(400, 401, 403, 404, 409, 413, 415, 422, 503)
        kept = {202: {"model": SessionKept}, **change}
        done = {200: {"model": Session}, **kept}

        def add(path: str, handler: Handler, method: str, summary: str, **more: object) -> None:
            router.add_api_route(path, handler, methods=[method], summary=summary, **more)  # type: ignore[arg-type]  # FastAPI's keywords

        created = {201: {"model": Session}, 202: {"model": SessionAccepted}, **change}
        add(HOME, self.create, "POST", "Create a session", status_code=201, **_body(CreateSessionRequest, created))
        add(
            HOME,
            self.page,
            "GET",
            "Your sessions, newest activity first",
            responses={200: {"model": SessionPage}, **one},
        )
        bulk = {200: {"model": BulkAnswer}, **change}
        add(f"{HOME}/bulk", self.bulk, "POST", "One action on many sessions", **_body(BulkRequest, bulk))
        add(ONE, self.get, "GET", "One session", responses={200: {"model": Session}, **one})
        add(ONE, self.update, "PATCH", "Describe a session anew", **_body(UpdateSessionRequest, done))
        add(ONE, self.delete, "DELETE", "Delete a session", status_code=204, responses={204: {}, **kept})
        for action, model, summary in ACTIONS:
            handler = self._acting(action, model)
            more = _body(model, done, required=False)
            add(f"{ONE}/{action}", handler, "POST", summary, name=f"{action}_session", **more)
        return router

    async def create(
        self,
        request: Request,
        idempotency_key: IdempotencyKey = None,  # noqa: ARG002 - read from the request; named for the document
    ) -> Response:
        """It waits (`pending`) until it is started, unless `auto_start` is true."""
        principal = await self._authenticator.caller(request, WRITE)
        _, body = await read_json(request)
        key = read_key(request, principal, HOME, body)
        return await self._creating.create(principal, read_body(CreateSessionRequest, body), key, request)

    async def page(
        self,
        request: Request,
        *,
        status: Annotated[list[SessionStatus], Query(max_length=12)] = [],  # noqa: B006 - FastAPI copies defaults
        kind: Annotated[list[SessionKind], Query(max_length=3)] = [],  # noqa: B006 - as above
        session_type: Annotated[list[SessionType], Query(max_length=5)] = [],  # noqa: B006 - as above
        priority: Annotated[list[PriorityFilter], Query(max_length=13)] = [],  # noqa: B006 - as above
        tag: Annotated[str | None, Query(min_length=1, max_length=64, pattern=_TEXT)] = None,
        title: Annotated[str | None, Query(min_length=1, max_length=100, pattern=_TEXT)] = None,
        archived: bool = False,
        page: Annotated[int, Query(ge=1, le=10_000)] = 1,
        page_size: Annotated[int, Query(ge=1, le=100)] = 20,
    ) -> Response:
        """Your own; with the scope tenant the tenant's. `title` is looked for anywhere in the title."""
        principal = await self._authenticator.caller(request, READ)
        wanted = SessionFilter(
            tenant=principal.tenant,
            owner=None if principal.has_tenant else principal.owner,
            kind=kind,
            session_type=session_type,
            priority=[priority_of(said) for said in priority],
            standing=[STANDINGS[word] for word in status],
            tag=tag,
            title=title,
            archived=archived,
        )
        return await self._showing.page(wanted, page, page_size)

    async def get(
        self,
        request: Request,
        session_id: SessionId,
        *,
        include: Annotated[list[Include], Query(max_length=4)] = [],  # noqa: B006 - FastAPI copies defaults
        archived: bool = False,
    ) -> Response:
        """`include` adds tasks (newest first), messages, checkpoints, metrics. A deleted one only with `archived`."""
        principal = await self._authenticator.caller(request, READ)
        row = await self._sessions.find(principal, session_id, archived=archived)
        return await self._showing.one(row, include)

    async def update(
        self,
        request: Request,
        session_id: SessionId,
        idempotency_key: IdempotencyKey = None,  # noqa: ARG002 - read from the request; named for the document
    ) -> Response:
        """Title, tags, metadata; `expected_version` refuses if somebody was quicker."""
        principal = await self._authenticator.caller(request, WRITE)
        row = await self._sessions.find(principal, session_id, archived=_may_be_a_repeat(request))
        _, body = await read_json(request)
        said = read_body(UpdateSessionRequest, body)
        key = read_key(request, principal, ONE, f"{session_id}\n".encode() + body)
        return done_answer(session_id, await self._sessions.update(principal, row, said, key, Trail.of(request.scope)))

    async def delete(
        self,
        request: Request,
        session_id: SessionId,
        idempotency_key: IdempotencyKey = None,  # noqa: ARG002 - read from the request; named for the document
    ) -> Response:
        """It is archived: what is still to be done in it is cancelled, and its history is kept."""
        principal = await self._authenticator.caller(request, WRITE)
        key = read_key(request, principal, ONE, session_id.encode())
        row = await self._sessions.find(principal, session_id, archived=key is not None)
        done = await self._sessions.delete(principal, row, key, Trail.of(request.scope))
        if done.row is None:
            return kept_answer(session_id, done)
        return Response(status_code=204, headers=replayed_headers(done.replayed))

    async def bulk(
        self,
        request: Request,
        idempotency_key: IdempotencyKey = None,  # noqa: ARG002 - read from the request; named for the document
    ) -> Response:
        """Each session has its own outcome; the answer is 200 whatever they are."""
        principal = await self._authenticator.caller(request, WRITE)
        _, body = await read_json(request)
        key = read_key(request, principal, f"{HOME}/bulk", body)
        asked = read_body(BulkRequest, body)
        answer, replayed = await self._bulk.act(principal, asked, key, Trail.of(request.scope))
        return json_answer(answer, 200, replayed_headers(replayed))

    def _acting(self, action: ControlAction, model: type[Body]) -> Handler:
        async def handle(
            request: Request,
            session_id: SessionId,
            idempotency_key: IdempotencyKey = None,  # noqa: ARG001 - read from the request; named for the document
        ) -> Response:
            principal = await self._authenticator.caller(request, WRITE)
            row = await self._sessions.find(principal, session_id, archived=_may_be_a_repeat(request))
            said, body = await said_or_nothing(request, model)
            key = read_key(request, principal, f"{ONE}/{action}", f"{session_id}\n".encode() + body)
            command = Command(action, said, key)
            return done_answer(session_id, await self._sessions.act(principal, row, command, Trail.of(request.scope)))

        return handle


def _may_be_a_repeat(request: Request) -> bool:
    """Whether its answer may have been given before the session was deleted."""
    return "idempotency-key" in request.headers


def _body(model: type[BaseModel], responses: dict[int | str, object], *, required: bool = True) -> dict[str, object]:
    return {"responses": responses, "openapi_extra": request_body(model, required=required)}
