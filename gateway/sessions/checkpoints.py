"""Checkpoints of a session: listed, read, made by its owner, gone back to."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from fastapi.security import HTTPBearer
from starlette.requests import Request
from starlette.responses import Response

from events.task import TaskControl
from gateway.auth.bearer import READ, WRITE, Authenticator
from gateway.errors import NotFoundError
from gateway.http.answers import json_answer
from gateway.http.bodies import read_body, read_json
from gateway.http.documentation import problems, request_body
from gateway.http.preferences import IdempotencyKey, read_key
from gateway.sessions.acting import Done, InvalidTransitionError, Sessions
from gateway.sessions.models import Checkpoint, CheckpointPage, CheckpointWithData, Session, SessionKept
from gateway.sessions.paths import ONE, SessionId
from gateway.sessions.requests import ActionRequest, CheckpointRequest
from gateway.sessions.telling import done_answer, kept_answer, replayed_headers, said_or_nothing
from gateway.sessions.view import checkpoint_view
from gateway.trail import Trail
from storage.checkpoints import CheckpointRow, checkpoints_of, find_by_event, find_checkpoint
from storage.reading import Database
from storage.sessions import SessionRow

MANY = f"{ONE}/checkpoints"
EACH = f"{MANY}/{{number}}"
RESTORE = f"{EACH}/restore"

CheckpointNumber = Annotated[int, Path(ge=1, lt=2**31)]


class Checkpoints:
    """The routes; the id of a checkpoint is its number in the session."""

    def __init__(self, *, authenticator: Authenticator, sessions: Sessions, engine: Database) -> None:
        self._authenticator = authenticator
        self._sessions = sessions
        self._engine = engine

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(tags=["sessions"], dependencies=[Depends(HTTPBearer(auto_error=False))])
        read = problems(401, 403, 404, 422, 503)
        change = problems(400, 401, 403, 404, 409, 413, 415, 422, 503)
        router.get(
            MANY, summary="Its last checkpoints, newest first", responses={200: {"model": CheckpointPage}, **read}
        )(self.page)
        router.get(
            EACH, summary="One checkpoint with its data", responses={200: {"model": CheckpointWithData}, **read}
        )(self.get)
        router.post(
            MANY,
            summary="Keep a checkpoint by hand",
            status_code=201,
            responses={201: {"model": Checkpoint}, 202: {"model": SessionKept}, **change},
            openapi_extra=request_body(CheckpointRequest),
        )(self.create)
        router.post(
            RESTORE,
            summary="Let it go on from a checkpoint",
            responses={200: {"model": Session}, 202: {"model": SessionKept}, **change},
            openapi_extra=request_body(ActionRequest, required=False),
        )(self.restore)
        return router

    async def page(
        self,
        request: Request,
        session_id: SessionId,
        limit: Annotated[int, Query(ge=1, le=100)] = 50,
        cursor: Annotated[int | None, Query(ge=1, lt=2**31)] = None,
    ) -> Response:
        """The last hundred are kept; their numbers go on. `cursor`: those before this one."""
        row = await self._sessions.find(await self._authenticator.caller(request, READ), session_id)
        found = await checkpoints_of(self._engine, row.id, cursor, limit + 1)
        more = found[limit - 1].seq if len(found) > limit else None
        return json_answer({"items": [checkpoint_view(one) for one in found[:limit]], "next_cursor": more})

    async def get(self, request: Request, session_id: SessionId, number: CheckpointNumber) -> Response:
        """As the agent wrote it, where policy did not redact it."""
        row = await self._sessions.find(await self._authenticator.caller(request, READ), session_id)
        found = await self._found(row, number)
        return json_answer({**checkpoint_view(found), "data": found.data})

    async def create(
        self,
        request: Request,
        session_id: SessionId,
        idempotency_key: IdempotencyKey = None,  # noqa: ARG002 - read from the request; named for the document
    ) -> Response:
        """Of a session that runs, is paused, or failed: its next attempt begins with it."""
        principal = await self._authenticator.caller(request, WRITE)
        row = await self._sessions.find(principal, session_id)
        _, body = await read_json(request)
        said = read_body(CheckpointRequest, body)
        key = read_key(request, principal, MANY, f"{session_id}\n".encode() + body)
        if row.task_id is None:
            raise InvalidTransitionError
        control = TaskControl(
            task_id=row.task_id, action="checkpoint", by=principal.owner, checkpoint=said.data, reason=said.note
        )
        done = await self._sessions.control(principal, row, control, key, Trail.of(request.scope))
        if done.row is None:
            return kept_answer(session_id, done)
        made = await find_by_event(self._engine, row.id, done.event_id)
        if made is None:
            raise NotFoundError("The checkpoint has made room for others since.")
        headers = {"Location": f"{MANY.format(session_id=session_id)}/{made.seq}", **replayed_headers(done.replayed)}
        return json_answer(checkpoint_view(made), 201, headers)

    async def restore(
        self,
        request: Request,
        session_id: SessionId,
        number: CheckpointNumber,
        idempotency_key: IdempotencyKey = None,  # noqa: ARG002 - read from the request; named for the document
    ) -> Response:
        """A session that is paused, failed or timed out begins another attempt with this checkpoint's data."""
        principal = await self._authenticator.caller(request, WRITE)
        row = await self._sessions.find(principal, session_id)
        said, body = await said_or_nothing(request, ActionRequest)
        key = read_key(request, principal, RESTORE, f"{session_id}\n{number}\n".encode() + body)
        found = await self._found(row, number)
        control = TaskControl(
            task_id=found.task_id,
            action="restore",
            by=principal.owner,
            checkpoint_seq=found.seq,
            reason=said.reason,
        )
        done: Done = await self._sessions.control(principal, row, control, key, Trail.of(request.scope))
        return done_answer(session_id, done)

    async def _found(self, row: SessionRow, seq: int) -> CheckpointRow:
        found = await find_checkpoint(self._engine, row.id, seq)
        if found is None:
            raise NotFoundError("There is no such checkpoint of this session, or not any more.")
        return found
