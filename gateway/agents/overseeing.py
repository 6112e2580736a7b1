"""What whoever runs a tenant says and does about its agents: a note beside a record, and giving assignments back.

Scope admin. A note counts for nothing: figures are counted from runs (requirements 002.5-8).
"""

from dataclasses import dataclass
from typing import cast

from fastapi import APIRouter, Depends
from fastapi.security import HTTPBearer
from starlette.requests import Request
from starlette.responses import Response

from events.agent import EVERYONE, AgentNoted
from events.base import Event, EventData
from events.route import RouteQuestion
from events.task import Kind, Routing, TaskControl
from gateway.accept import SOURCE
from gateway.agents import models
from gateway.agents.asking import ask_router
from gateway.agents.errors import agent_refusal
from gateway.agents.registry import HOME, ONE, AgentId, Responses
from gateway.agents.requests import NoteRequest, RebalanceRequest
from gateway.agents.views import performance_view
from gateway.auth.bearer import ADMIN, Authenticator, Principal
from gateway.bus import Bus
from gateway.commands import KEPT, Commands
from gateway.errors import NotFoundError
from gateway.http.answers import json_answer
from gateway.http.bodies import read_body, read_json, read_optional
from gateway.http.documentation import problems, request_body
from gateway.http.preferences import IdempotencyKey, read_key
from gateway.trail import Trail
from storage.agents import figures_of, find_agent
from storage.assignments import Unbegun, unbegun
from storage.reading import Database

_AWAY = {"offline": "offline", "draining": "draining", "gone": "gone"}
_PLACE = f"{ONE}/performance"


@dataclass(frozen=True, slots=True)
class _Move:
    one: Unbegun
    why: str
    candidate: str | None = None
    kept_because: str | None = None

    def view(self) -> dict[str, object]:
        return {
            "task_id": self.one.task_id,
            "agent_id": self.one.agent_id,
            "why": self.why,
            "candidate": self.candidate,
            "kept_because": self.kept_because,
        }


class Overseeing:
    """The routes."""

    def __init__(self, authenticator: Authenticator, commands: Commands, engine: Database, bus: Bus) -> None:
        self._authenticator = authenticator
        self._commands = commands
        self._engine = engine
        self._bus = bus

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(tags=["agents"], dependencies=[Depends(HTTPBearer(auto_error=False))])
        errors: Responses = problems(400, 401, 403, 404, 409, 413, 415, 422, 503)
        router.post(
            _PLACE,
            summary="Say how an agent works",
            responses={200: {"model": models.AgentPerformance}, 202: {"model": models.Kept}, **errors},
            openapi_extra=request_body(NoteRequest),
        )(self.note)
        router.post(
            f"{HOME}/rebalance",
            summary="Give back what agents have not begun and others could",
            responses={
                200: {"model": models.Rebalanced},
                **problems(400, 401, 403, 413, 415, 422, 503),
            },
            openapi_extra=request_body(RebalanceRequest, required=False),
        )(self.rebalance)
        return router

    async def note(
        self,
        request: Request,
        agent_id: AgentId,
        idempotency_key: IdempotencyKey = None,  # noqa: ARG002 - as documented
    ) -> Response:
        """It is shown beside the agent's record and is no part of it: it makes no tier and buys no work."""
        principal = await self._authenticator.caller(request, ADMIN)
        _, body = await read_json(request)
        asked = read_body(NoteRequest, body)
        key = read_key(request, principal, _PLACE, f"{agent_id}\n".encode() + body)
        row = await find_agent(self._engine, principal.tenant, agent_id)
        if row is None or row.tenant == EVERYONE:
            raise NotFoundError
        said = AgentNoted(
            agent_id=agent_id, by=principal.owner, quality=asked.quality, note=asked.note, task_id=asked.task_id
        )
        event: Event[EventData] = Event.first(
            said,
            source=SOURCE,
            tenant=row.tenant,
            owner=row.owner,
            event_id=key.event_id if key else None,
            traceparent=Trail.of(request.scope).traceparent,
        )
        answered = await self._commands.ask(event, key)
        if answered.refusal is not None:
            raise agent_refusal(answered.refusal)
        if answered.outcome is None:
            return json_answer({"id": agent_id, "message": KEPT}, 202, answered.headers)
        row = await find_agent(self._engine, principal.tenant, agent_id) or row
        figures = await figures_of(self._engine, principal.tenant, agent_id)
        return json_answer(performance_view(row, figures), 200, answered.headers)

    async def rebalance(self, request: Request) -> Response:
        """Of agents that are offline, draining or gone, have an open breaker or more than their capacity.

        An assignment goes back to the router only if somebody else has room for it now; the router then decides anew.
        """
        principal = await self._authenticator.caller(request, ADMIN)
        asked, _ = await read_optional(request, RebalanceRequest)
        found = await unbegun(self._engine, principal.tenant, asked.agent_id)
        due = [_Move(one, why) for one in found if (why := _why(one)) is not None]
        moves = [await self._judged(move) for move in due[: asked.limit]]
        if not asked.dry_run:
            moves = [await self._moved(move, principal, request) for move in moves]
        answer = {
            "dry_run": asked.dry_run,
            "looked_at": len(found),
            "moved": [move.view() for move in moves if move.kept_because is None],
            "kept": [move.view() for move in moves if move.kept_because is not None],
            "more": len(due) > asked.limit,
        }
        return json_answer(answer)

    async def _judged(self, move: _Move) -> _Move:
        """With who has room for it now. Raises RouterAwayError."""
        one = move.one
        question = RouteQuestion(
            tenant=one.tenant,
            kind=cast("Kind", one.kind),
            required_capabilities=tuple(one.required_capabilities),
            routing=None if one.routing is None else Routing.model_validate(one.routing),
        )
        candidate = (await ask_router(self._bus, question)).agent_id
        nobody = candidate is None or candidate == one.agent_id
        return _Move(one, move.why, None if nobody else candidate, "nobody_else" if nobody else None)

    async def _moved(self, move: _Move, principal: Principal, request: Request) -> _Move:
        """Given back, unless it has begun meanwhile."""
        if move.kept_because is not None:
            return move
        one = move.one
        event: Event[EventData] = Event.first(
            TaskControl(task_id=one.task_id, action="reassign", by=principal.owner, attempt=one.attempt),
            source=SOURCE,
            tenant=one.tenant,
            owner=one.owner,
            task_id=one.task_id,
            session_id=one.session_id,
            traceparent=Trail.of(request.scope).traceparent,
        )
        answered = await self._commands.ask(event, None)
        if answered.outcome is None:
            return _Move(one, move.why, move.candidate, "unknown")
        return move if answered.refusal is None else _Move(one, move.why, move.candidate, "begun")


def _why(one: Unbegun) -> str | None:
    """Why an assignment should go elsewhere, if it should; of too many the newest."""
    if one.agent_status in _AWAY:
        return _AWAY[one.agent_status]
    if one.breaker == "open":
        return "breaker_open"
    return "overloaded" if one.place <= one.excess else None
