"""The routes of `/api/{user_id}`: chat, conversations, what was said in them, and the tools that were used."""

from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from events.errors import GanglionError
from events.task import GOOD
from gateway.accept import Durability
from gateway.auth.bearer import READ, WRITE, Authenticator, Principal
from gateway.chat.conversations import MAX_MESSAGES, Conversations
from gateway.chat.errors import AgentTimeoutError, ForeignUserError, InvalidMessageError, about, failure_of
from gateway.chat.models import ChatAccepted, ChatRequest, ChatResponse, Conversation, ListedToolCall
from gateway.chat.streaming import TurnStream
from gateway.chat.turn import Turn, Turns, make_turn
from gateway.chat.waiting import TurnWire, Waiting
from gateway.errors import InvalidBodyError, faults_of_parameters
from gateway.http.answers import json_answer
from gateway.http.bodies import read_body, read_json
from gateway.http.documentation import problems, request_body
from gateway.http.preferences import IdempotencyKey, read_key, wants_stream
from gateway.http.protocol import Line, line_of
from gateway.live.sse import HEADERS, Streams
from gateway.trail import Trail

POST = "/api/{user_id}/chat"

_TOLD: dict[Durability, str] = {
    "log+database": "The message is kept and waits for its turn.",
    "log": "The message is kept in the log; the database will follow.",
}
User = Annotated[str, Path(max_length=64, description="The token's `sub`")]
ConversationId = Annotated[str, Path(max_length=64)]
Skip = Annotated[int, Query(ge=0, le=1_000_000)]


class ChatRoute(APIRoute):
    """Every error of these routes names itself as their document wants it (`error_code`)."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[object, object, Response]]:
        """The handler, and what FastAPI does before it."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await handler(request)
            except RequestValidationError as error:
                raise about(InvalidBodyError(faults_of_parameters(error))) from error
            except GanglionError as error:
                raise about(error) from error

        return handle


class Chat:
    """One handler a route; nothing is remembered from one request to the next."""

    def __init__(
        self,
        *,
        authenticator: Authenticator,
        turns: Turns,
        waiting: Waiting,
        conversations: Conversations,
        streams: Streams,
    ) -> None:
        self._authenticator = authenticator
        self._turns = turns
        self._waiting = waiting
        self._conversations = conversations
        self._streams = streams
        self._stream = TurnStream(turns, conversations)

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(route_class=ChatRoute, tags=["chat"], dependencies=[Depends(HTTPBearer(auto_error=False))])
        streamed = {"text/event-stream": {"schema": {"type": "object", "required": ["data"]}}}
        router.add_api_route(
            POST,
            self.chat,
            methods=["POST"],
            summary="Say something and get the answer",
            responses={
                200: {"model": ChatResponse, "content": streamed},
                202: {"model": ChatAccepted},
                **problems(400, 401, 403, 404, 409, 413, 415, 422, 502, 503, 504),
            },
            openapi_extra=request_body(ChatRequest),
        )
        for path, handler, model, summary in (
            ("", self.conversations, list[Conversation], "Your conversations, newest activity first"),
            ("/{conversation_id}/history", self.history, ChatResponse, "What was said, oldest first"),
            ("/{conversation_id}/tool_calls", self.tool_calls, list[ListedToolCall], "The tools that were used"),
        ):
            router.add_api_route(
                f"/api/{{user_id}}/conversations{path}",
                handler,
                methods=["GET"],
                summary=summary,
                responses={200: {"model": model}, **problems(401, 403, 404, 422, 503)},
            )
        return router

    async def chat(
        self,
        request: Request,
        user_id: User,
        idempotency_key: IdempotencyKey = None,  # noqa: ARG002 - read from the request; named for the document
    ) -> Response:
        """The whole conversation with the answer in it; 202 if its turn has not come after 30 s.

        `Accept: text/event-stream` gives `accepted`, then `status`, `token` and `tool_call` as they happen, then the
        stored `message` or an `error`, then `end`. Who reads too slowly hears `left`: where to go on, and after what.
        """
        principal = await self._caller(request, user_id, WRITE)
        asked, body = await _read(request)
        key = read_key(request, principal, POST, body)
        if asked.conversation_id is not None:
            await self._conversations.find(principal, asked.conversation_id)
        turn = make_turn(principal, asked, key, Trail.of(request.scope))
        if wants_stream(request):
            return await self._streamed(turn, Trail.of(request.scope), line_of(request))
        wire = TurnWire(streaming=False)
        with self._waiting.on(turn.room, wire):
            turn = await self._accepted(turn)
            if turn.durability == "log":  # the database is away, and the answer with it
                return _still_waiting(turn)
            return await self._answer(turn, wire)

    async def conversations(
        self, request: Request, user_id: User, skip: Skip = 0, limit: Annotated[int, Query(ge=1, le=100)] = 20
    ) -> Response:
        """Those in which something was said."""
        principal = await self._caller(request, user_id, READ)
        return json_answer(await self._conversations.list(principal, skip=skip, limit=limit))

    async def history(
        self,
        request: Request,
        user_id: User,
        conversation_id: ConversationId,
        skip: Skip | None = None,
        limit: Annotated[int | None, Query(ge=1, le=MAX_MESSAGES)] = None,
    ) -> Response:
        """Without `skip` and `limit` all of it, at most the newest 1,000 messages; with them a page from its start."""
        principal = await self._caller(request, user_id, READ)
        session = await self._conversations.find(principal, conversation_id)
        if skip is None and limit is None:
            return json_answer(await self._conversations.whole(session))
        return json_answer(await self._conversations.page(session, skip=skip or 0, limit=limit or 50))

    async def tool_calls(
        self,
        request: Request,
        user_id: User,
        conversation_id: ConversationId,
        skip: Skip = 0,
        limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    ) -> Response:
        """In order, those of turns without an answer too."""
        principal = await self._caller(request, user_id, READ)
        session = await self._conversations.find(principal, conversation_id)
        return json_answer(await self._conversations.tool_calls(session, skip=skip, limit=limit))

    async def _caller(self, request: Request, user_id: str, scope: str) -> Principal:
        principal = await self._authenticator.caller(request, scope)
        if user_id != principal.owner:
            raise ForeignUserError
        return principal

    async def _accepted(self, turn: Turn) -> Turn:
        try:
            return await self._turns.accept(turn)
        except GanglionError as error:
            raise about(error, turn.conversation_id, turn.task_id) from error

    async def _answer(self, turn: Turn, wire: TurnWire) -> Response:
        row = await self._turns.ended(turn) if turn.replayed else None
        if row is None:
            outcome = await wire.outcome()
            if wire.status in GOOD:
                return await self._succeeded(turn)
            row = await self._turns.ended(turn)
            if row is None and outcome == "timeout":
                raise about(AgentTimeoutError(), turn.conversation_id, turn.task_id)
        if row is None:
            return _still_waiting(turn)
        if row.status not in GOOD:
            raise failure_of(row, turn.conversation_id)
        return await self._succeeded(turn)

    async def _succeeded(self, turn: Turn) -> Response:
        session = await self._conversations.find(turn.principal, turn.conversation_id)
        return json_answer(await self._conversations.whole(session, turn.task_id), 200, turn.headers)

    async def _streamed(self, turn: Turn, trail: Trail, line: Line) -> Response:
        """What is refused is refused with its own status: the first event is there before the answer begins."""
        frames = self._frames(turn, trail, line)
        first = await anext(frames)
        return StreamingResponse(_joined(first, frames), media_type="text/event-stream", headers=HEADERS)

    async def _frames(self, turn: Turn, trail: Trail, line: Line) -> AsyncGenerator[bytes]:
        wire = TurnWire(streaming=True)
        with self._waiting.on(turn.room, wire) as outlet, self._streams.held(outlet, line):
            turn = await self._accepted(turn)
            async with aclosing(self._stream.frames(turn, wire, outlet, trail)) as frames:
                async for frame in frames:
                    yield frame


async def _read(request: Request) -> tuple[ChatRequest, bytes]:
    try:
        _, body = await read_json(request)
        return read_body(ChatRequest, body), body
    except InvalidBodyError as error:
        raise InvalidMessageError(error.faults) from error


def _still_waiting(turn: Turn) -> Response:
    here = f"/api/v1/tasks/{turn.task_id}"
    body = {
        "status": "accepted",
        "conversation_id": turn.conversation_id,
        "task_id": turn.task_id,
        "durability": turn.durability,
        "message": _TOLD[turn.durability],
        "links": {
            "self": here,
            "events": f"{here}/events",
            "stream": f"{here}/stream",
            "room": f"task:{turn.task_id}",
        },
    }
    return json_answer(body, 202, {"Location": here, **turn.headers})


async def _joined(first: bytes, frames: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    yield first
    async with aclosing(frames):
        async for frame in frames:
            yield frame
