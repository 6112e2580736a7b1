"""Any room as server-sent events: the transport for whoever has HTTP and nothing else."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query
from fastapi.security import HTTPBearer
from starlette.requests import Request
from starlette.responses import Response

from events.cursor import Cursor
from gateway.asyncapi import document
from gateway.auth.bearer import bearer
from gateway.http.answers import json_answer
from gateway.http.documentation import CURSOR, EVENT_STREAM, problems
from gateway.live.admission import Admission
from gateway.live.sse import Streams

ROOM = r"^((task|session|agent):[A-Za-z0-9_-]{1,64}|tasks|sessions|agents|proposals|system)$"

_After = Annotated[str, Query(json_schema_extra={"pattern": CURSOR}, description="A cursor; `0`: all that is kept")]
_LastEventId = Annotated[str, Header(json_schema_extra={"pattern": CURSOR})]


class Streaming:
    """The route `/api/v1/stream`."""

    def __init__(self, admission: Admission, streams: Streams) -> None:
        self._admission = admission
        self._streams = streams

    def router(self) -> APIRouter:
        """The route."""
        router = APIRouter(tags=["streams"], dependencies=[Depends(HTTPBearer(auto_error=False))])
        router.get(
            "/api/v1/stream",
            summary="A room's events as they happen (server-sent events)",
            response_class=Response,
            responses={200: EVENT_STREAM, **problems(401, 403, 404, 422, 503)},
        )(self.stream)
        return router

    async def stream(
        self,
        request: Request,
        room: Annotated[
            str, Query(json_schema_extra={"pattern": ROOM}, max_length=128, description="`tasks`, `task:ID`, …")
        ] = "tasks",
        after: _After = "",
        last_event_id: _LastEventId = "",
    ) -> Response:
        """The frames of docs/subscribe.md. `Last-Event-ID` resumes, before `after`; without both: from now."""
        principal = await self._admission.principal(bearer(request.headers))
        places = [Cursor.parse(text) for text in (last_event_id, after) if text]
        found = await self._admission.room(principal, room)
        return self._streams.response(request, principal, found.room, places[0] if places else None, ended=found.ended)


def description_router() -> APIRouter:
    """`/asyncapi.json`, for everybody."""
    router = APIRouter(tags=["operations"])
    router.get(
        "/asyncapi.json",
        summary="The AsyncAPI 3 document of all sockets and streams",
        openapi_extra={"security": []},
        responses={200: {"content": {"application/json": {"schema": {"type": "object"}}}}, **problems(429)},
    )(_asyncapi)
    return router


async def _asyncapi() -> Response:
    """Made from the event classes."""
    return json_answer(document())
