"""Dividing a task: the keeper grants it, the planner plans, and who waits is answered with the plan."""

import asyncio
import time
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path
from fastapi.security import HTTPBearer
from starlette.requests import Request
from starlette.responses import Response

from events.base import Event, EventData
from events.codec import decode
from events.errors import StoreUnavailableError
from events.ids import derived_id, derived_text, new_id
from events.plan import TaskDecompose, TaskDecomposed, TaskUndecomposed
from events.streams import PLANNER
from gateway.accept import SOURCE, Acceptor
from gateway.auth.bearer import WRITE, Authenticator
from gateway.commands import Answered, Commands
from gateway.commits import APPLIED, Commits
from gateway.errors import NotFoundError, RefusedError, TaskFinalError
from gateway.http.answers import json_answer
from gateway.http.bodies import read_optional
from gateway.http.documentation import problems, request_body
from gateway.http.preferences import IdempotencyKey, Prefer, read_key, read_wait
from gateway.live.endings import comes, plan_subject
from gateway.live.hub import Hub
from gateway.tasks.accepted import accepted_answer
from gateway.tasks.lookup import Lookup, Recent, parsed_id
from gateway.tasks.models import CancelAccepted, Plan
from gateway.tasks.plans import plan_view
from gateway.tasks.requests import DecomposeRequest
from gateway.trail import Trail
from storage.log import settled
from storage.reading import Database
from storage.tasks import TaskRow

PATH = "/api/v1/tasks/{task_id}/decompose"
_HOME = "/api/v1/tasks"
_PLANNER = f"/consumers/{PLANNER.name}"
_WHY = {
    "already_decomposed": "It was divided already.",
    "has_begun": "An agent has it, or had it: only a task that has not begun can be divided.",
    "not_decomposable": "Turns of a conversation and refinements are not divided.",
    "family_too_large": "Too many tasks, or generations of them, come from one already.",
    "plan_not_asked": "Another plan was asked for meanwhile.",
}


class NotDividedError(RefusedError):
    """The task is not divided; `code` says why."""

    def __init__(self, code: str, message: str | None = None) -> None:
        super().__init__(message or _WHY.get(code, f"It was refused: {code.replace('_', ' ')}."))
        self.code = code  # type: ignore[misc]  # the keeper's and the planner's reasons, which are stable


class Decomposing:
    """The one route."""

    def __init__(
        self,
        *,
        authenticator: Authenticator,
        acceptor: Acceptor,
        commits: Commits,
        lookup: Lookup,
        engine: Database,
        hub: Hub,
    ) -> None:
        self._authenticator = authenticator
        self._acceptor = acceptor
        self._commands = Commands(acceptor, engine)
        self._lookup = lookup
        self._engine = engine
        self._commits = commits
        self._hub = hub

    def router(self) -> APIRouter:
        """The route."""
        router = APIRouter(tags=["tasks"], dependencies=[Depends(HTTPBearer(auto_error=False))])
        router.post(
            PATH,
            summary="Divide a task into steps",
            responses={
                200: {"model": Plan},
                202: {"model": CancelAccepted},
                **problems(400, 401, 403, 404, 409, 413, 415, 422, 503),
            },
            openapi_extra=request_body(DecomposeRequest, required=False),
        )(self.decompose)
        return router

    async def decompose(
        self,
        request: Request,
        task_id: Annotated[str, Path(json_schema_extra={"format": "uuid"})],
        idempotency_key: IdempotencyKey = None,  # noqa: ARG002 - read from the request; named here for the document
        prefer: Prefer = None,  # noqa: ARG002 - as above
    ) -> Response:
        """The task waits for its steps and then puts their results together; `Prefer: wait` answers with the plan."""
        principal = await self._authenticator.caller(request, WRITE)
        found = await self._lookup.task(principal, parsed_id(task_id))
        said, body = await read_optional(request, DecomposeRequest)
        key = read_key(request, principal, PATH, f"{found.id}\n".encode() + body)
        event = decompose_event(
            found, said, by=principal.owner, event_id=key.event_id if key else new_id(), trail=Trail.of(request.scope)
        )
        self._acceptor.refuse_if_overloaded()  # it is new work, for many
        wait = read_wait(request)
        with self._hub.endings.awaited(plan_subject(_plan_id(event.id))) as made:
            answered = await self._commands.ask(event, key)
            return await self._answer(found, answered, made, wait or 0)

    async def _answer(
        self, found: TaskRow | Recent, answered: Answered, made: asyncio.Future[None], wait: int
    ) -> Response:
        status = found.status if isinstance(found, TaskRow) else "submitted"
        if answered.outcome is None:
            return accepted_answer(found.id, status, "log", _HOME, replayed=answered.replayed)
        _raise(answered.refusal)
        plan = await self._plan(answered, made, wait) if wait else None
        headers = {**answered.headers, **({"Preference-Applied": f"wait={wait}"} if wait else {})}
        if plan is not None:
            return json_answer(plan_view(plan), 200, headers)
        answer = accepted_answer(found.id, status, "log+database", _HOME, replayed=answered.replayed)
        answer.headers.update(headers)
        return answer

    async def _plan(self, answered: Answered, made: asyncio.Future[None], seconds: int) -> TaskDecomposed | None:
        """The plan that was made of the request, if the keeper has taken it before the time is up or the process stops.

        Raises NotDividedError.
        """
        until = time.monotonic() + seconds
        try:
            plan = await self._planned(answered.event.id) if answered.replayed else None
            if plan is not None:
                return plan
            if await comes(made, seconds):
                await self._commits.reached(self._hub.position, within=until - time.monotonic())
            return await self._planned(answered.event.id)  # also what was missed while the hub began anew
        except StoreUnavailableError:
            return None

    async def _planned(self, asked: str) -> TaskDecomposed | None:
        for kind in (TaskDecomposed, TaskUndecomposed):
            found = await settled(self._engine, _PLANNER, derived_text(asked, _PLANNER, kind.event_name, 0))
            if found is None:
                continue
            if found.outcome != APPLIED:
                _raise(found.outcome.partition(":")[2])
            data = decode(found.body).data
            if isinstance(data, TaskUndecomposed):
                raise NotDividedError(data.error.code, data.error.message)
            return data if isinstance(data, TaskDecomposed) else None
        return None


def decompose_event(
    found: TaskRow | Recent, said: DecomposeRequest, *, by: str, event_id: UUID, trail: Trail
) -> Event[EventData]:
    """The request as the bus has it; a repeat names the same plan."""
    data = TaskDecompose(task_id=found.id, plan_id=_plan_id(event_id), by=by, options=said.options())
    return Event.first(
        data,
        source=SOURCE,
        tenant=found.tenant,
        owner=found.owner,
        task_id=found.id,
        session_id=found.session_id if isinstance(found, TaskRow) else None,
        event_id=event_id,
        traceparent=trail.traceparent,
    )


def _plan_id(asked: UUID | str) -> UUID:
    """The plan that is made of the request."""
    return derived_id(asked, "plan")


def _raise(refusal: str | None) -> None:
    if refusal == "task_final":
        raise TaskFinalError
    if refusal in {"unknown_task", "no_task", "not_found"}:
        raise NotFoundError
    if refusal is not None:
        raise NotDividedError(refusal)
