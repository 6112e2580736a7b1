"""Looking at agents, and asking the router who would take a task."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.security import HTTPBearer
from starlette.requests import Request
from starlette.responses import Response

from events.agent import AgentStatus
from events.ids import Name
from events.route import Candidate, RouteAnswer, RouteQuestion
from gateway.agents import models
from gateway.agents.asking import ask_router
from gateway.agents.errors import AgentUnavailableError
from gateway.agents.registry import HOME, ONE, AgentId, Responses
from gateway.agents.requests import RouteTaskRequest
from gateway.agents.views import View, agent_view, page_view, performance_view, statistics_view
from gateway.auth.bearer import READ, Authenticator, Principal
from gateway.bus import Bus
from gateway.errors import NotFoundError
from gateway.http.answers import json_answer
from gateway.http.bodies import read_body, read_json
from gateway.http.documentation import problems, request_body
from gateway.tasks.reading import Limit
from storage.agents import AgentRow, figures_of, find_agent, list_agents
from storage.reading import Database

_ALTERNATIVES = 3
_ALL = 1_000

Capability = Annotated[Name | None, Query(description="Only those that can do this")]
Place = Annotated[Name | None, Query(description="`next_cursor` of the page before")]


class Looking:
    """The routes that change nothing."""

    def __init__(self, authenticator: Authenticator, engine: Database, bus: Bus) -> None:
        self._authenticator = authenticator
        self._engine = engine
        self._bus = bus

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(tags=["agents"], dependencies=[Depends(HTTPBearer(auto_error=False))])
        errors = problems(401, 403, 404, 422, 503)
        many: Responses = {200: {"model": models.AgentPage}, **problems(401, 403, 422, 503)}
        router.get(HOME, summary="The agents that work for you", responses=many)(self.agents)
        router.get(
            f"{HOME}/stats",
            summary="The agents that work for you, in numbers",
            responses={200: {"model": models.AgentStatistics}, **problems(401, 403, 503)},
        )(self.statistics)
        router.get(f"{HOME}/by-capability/{{capability}}", summary="The agents that can do this", responses=many)(
            self.by_capability
        )
        router.post(
            f"{HOME}/route",
            summary="Who would take such a task now? (a dry run)",
            responses={200: {"model": models.RouteAnswer}, **problems(400, 401, 403, 413, 415, 422, 503)},
            openapi_extra=request_body(RouteTaskRequest),
        )(self.route)
        router.get(ONE, summary="One agent", responses={200: {"model": models.Agent}, **errors})(self.agent)
        router.get(
            f"{ONE}/performance",
            summary="An agent's record",
            responses={200: {"model": models.AgentPerformance}, **errors},
        )(self.performance)
        return router

    async def agents(
        self,
        request: Request,
        *,
        capability: Capability = None,
        status: Annotated[list[AgentStatus], Query(max_length=4)] = [],  # noqa: B006 - FastAPI copies defaults
        limit: Limit = 50,
        cursor: Place = None,
    ) -> Response:
        """By id; those that are gone only if asked for."""
        principal = await self._authenticator.caller(request, READ)
        rows = await list_agents(
            self._engine, principal.tenant, capability=capability, status=status, after=cursor, limit=limit + 1
        )
        return json_answer(page_view(rows, limit))

    async def by_capability(
        self, request: Request, capability: Name, limit: Limit = 100, cursor: Place = None
    ) -> Response:
        """As `?capability=`."""
        principal = await self._authenticator.caller(request, READ)
        rows = await list_agents(self._engine, principal.tenant, capability=capability, after=cursor, limit=limit + 1)
        return json_answer(page_view(rows, limit))

    async def statistics(self, request: Request) -> Response:
        """The first 1,000 of them."""
        principal = await self._authenticator.caller(request, READ)
        return json_answer(statistics_view(await list_agents(self._engine, principal.tenant, limit=_ALL)))

    async def agent(self, request: Request, agent_id: AgentId) -> Response:
        """Your tenant's, or a built-in one."""
        return json_answer(agent_view(await self._found(await self._authenticator.caller(request, READ), agent_id)))

    async def performance(self, request: Request, agent_id: AgentId) -> Response:
        """Of the runs for your tenant."""
        principal = await self._authenticator.caller(request, READ)
        row = await self._found(principal, agent_id)
        return json_answer(performance_view(row, await figures_of(self._engine, principal.tenant, agent_id)))

    async def route(self, request: Request) -> Response:
        """The router judges everyone as it would for a task, and keeps nothing of it."""
        principal = await self._authenticator.caller(request, READ)
        _, body = await read_json(request)
        asked = read_body(RouteTaskRequest, body)
        question = RouteQuestion(
            tenant=principal.tenant,
            required_capabilities=tuple(asked.required_capabilities),
            routing=asked.preferences(),
        )
        return json_answer(_answer_view(await ask_router(self._bus, question)))

    async def _found(self, principal: Principal, agent_id: str) -> AgentRow:
        row = await find_agent(self._engine, principal.tenant, agent_id)
        if row is None:
            raise NotFoundError
        return row


def _answer_view(answer: RouteAnswer) -> View:
    """Raises AgentUnavailableError if nobody has room."""
    free = [candidate for candidate in answer.candidates if candidate.excluded is None]
    if answer.agent_id is None or not free:
        raise AgentUnavailableError(answer.candidates)
    best, others = free[0], free[1 : 1 + _ALTERNATIVES]
    reason = f"the best score of {len(free)} with room" if others else "the only one with room"
    return {
        "selected_agent": answer.agent_id,
        "routing_score": best.score,
        "alternatives": [_selected(candidate) for candidate in others],
        "routing_reason": reason,
        "candidates": [candidate.model_dump() for candidate in answer.candidates],
    }


def _selected(candidate: Candidate) -> View:
    return {"agent_id": candidate.agent_id, "score": candidate.score, "parts": candidate.parts}
