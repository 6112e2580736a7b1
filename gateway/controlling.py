"""Changing a task's course: the wish becomes an event, the answer is that event's outcome (DESIGN rule 2)."""

from dataclasses import replace
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Path
from starlette.requests import Request
from starlette.responses import Response

from events.base import Event
from events.codec import decode
from events.errors import GanglionError
from events.ids import new_id
from events.task import TaskControl
from gateway.accept import SOURCE, Accepted, Acceptor
from gateway.answers import accepted_answer, json_answer
from gateway.auth import WRITE, Authenticator, Principal, bearer
from gateway.bodies import read_json
from gateway.commits import APPLIED, DUPLICATE
from gateway.documentation import problems, request_body
from gateway.errors import IdempotencyConflictError, NotFoundError, RefusedError, TaskFinalError
from gateway.lookup import Lookup, Recent, parsed_id
from gateway.models import CancelAccepted, Task
from gateway.preferences import Key, read_key
from gateway.requests import CancelRequest, read_body
from gateway.trail import Trail
from gateway.views import task_view
from storage.log import settled
from storage.reading import Database
from storage.tasks import TaskRow

_CANCEL = "/api/v1/tasks/{task_id}/cancel"
_FINAL = "refused:task_final"
_UNKNOWN = {"refused:unknown_task", "refused:not_found"}


class Controlling:
    """Cancelling, for now."""

    def __init__(self, *, authenticator: Authenticator, acceptor: Acceptor, lookup: Lookup, engine: Database) -> None:
        self._authenticator = authenticator
        self._acceptor = acceptor
        self._lookup = lookup
        self._engine = engine

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(tags=["tasks"])
        router.add_api_route(
            _CANCEL,
            self.cancel,
            methods=["POST"],
            summary="Cancel a task",
            responses={
                200: {"model": Task},
                202: {"model": CancelAccepted},
                **problems(400, 401, 403, 404, 409, 413, 415, 422, 503),
            },
            openapi_extra=request_body(CancelRequest, required=False),
        )
        return router

    async def cancel(
        self,
        request: Request,
        task_id: Annotated[str, Path(json_schema_extra={"format": "uuid"})],
        idempotency_key: Annotated[  # noqa: ARG002 - read from the request; named here for the document
            str | None, Header(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")
        ] = None,
    ) -> Response:
        """Enter `cancelled` at once, if the task has not ended; a running agent sees it within a second."""
        principal = await self._authenticator.principal(bearer(request.headers))
        principal.must(WRITE)
        found = await self._lookup.task(principal, parsed_id(task_id))
        reason, body = await _read_reason(request)
        key = read_key(request, principal, _CANCEL, f"{found.id}\n".encode() + body)
        outcome, replayed = await self._earlier(key, found.id)
        accepted = Accepted(outcome, None)
        if outcome is None:
            accepted = await self._acceptor.accept(_event(principal, found, reason, key, Trail.of(request.scope)))
            if accepted.outcome == DUPLICATE and key is not None:
                accepted, replayed = replace(accepted, outcome=(await self._earlier(key, found.id))[0]), True
        return await self._answer(principal, found, accepted, replayed=replayed)

    async def _earlier(self, key: Key | None, task_id: UUID) -> tuple[str | None, bool]:
        """The outcome of this key's event, if it is committed; it must have been about the same task."""
        event = await settled(self._engine, SOURCE, str(key.event_id)) if key else None
        if event is None or key is None:
            return None, False
        data = decode(event.body).data
        if event.task_id != task_id or not isinstance(data, TaskControl):
            raise IdempotencyConflictError
        return event.outcome, True

    async def _answer(
        self, principal: Principal, found: TaskRow | Recent, accepted: Accepted, *, replayed: bool
    ) -> Response:
        outcome = accepted.outcome
        if outcome is None:
            status = found.status if isinstance(found, TaskRow) else "submitted"
            return accepted_answer(found.id, status, "log", "/api/v1/tasks", replayed=replayed)
        if outcome == _FINAL:
            raise TaskFinalError
        if outcome in _UNKNOWN:
            raise NotFoundError
        if outcome.startswith("refused"):
            raise RefusedError(f"The task cannot be cancelled now ({outcome.partition(':')[2]}).")
        if outcome != APPLIED:
            raise GanglionError("The event was not understood by the keeper.")
        task = await self._lookup.task(principal, found.id)
        return json_answer(task_view(task), 200, {"Idempotency-Replayed": "true"} if replayed else None)


async def _read_reason(request: Request) -> tuple[str | None, bytes]:
    if request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers:
        return None, b""
    _, body = await read_json(request)
    return read_body(CancelRequest, body).reason, body


def _event(
    principal: Principal, found: TaskRow | Recent, reason: str | None, key: Key | None, trail: Trail
) -> Event[TaskControl]:
    return Event.first(  # type: ignore[return-value]  # the payload is the TaskControl that is given
        TaskControl(task_id=found.id, action="cancel", by=principal.owner, reason=reason),
        source=SOURCE,
        tenant=found.tenant,
        owner=found.owner,
        task_id=found.id,
        session_id=found.session_id if isinstance(found, TaskRow) else None,
        event_id=key.event_id if key else new_id(),
        traceparent=trail.traceparent,
    )
