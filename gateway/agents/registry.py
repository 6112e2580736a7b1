"""Who may work: register, deregister, drain, and say that one lives. The answer is the event's own outcome."""

import secrets
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query
from fastapi.security import HTTPBearer
from pydantic_settings import BaseSettings, SettingsConfigDict
from starlette.requests import Request
from starlette.responses import Response

from events.agent import EVERYONE, AgentDeregistered, AgentHeartbeat, AgentRegistered
from events.base import Event, EventData
from events.ids import Name
from gateway.accept import SOURCE
from gateway.agents.calling import Calls
from gateway.agents.errors import agent_refusal
from gateway.agents.models import Agent, Kept, RegisteredAgent
from gateway.agents.requests import (
    DeregisterAgentRequest,
    HeartbeatRequest,
    RegisterAgentRequest,
    RegisterExternalAgentRequest,
)
from gateway.agents.views import agent_view, registered_view
from gateway.auth.bearer import Authenticator, Principal
from gateway.auth.roles import AGENTS
from gateway.commands import KEPT, Answered, Commands
from gateway.errors import NotFoundError, UnauthorizedError
from gateway.http.answers import json_answer
from gateway.http.bodies import read_body, read_json, read_optional
from gateway.http.documentation import problems, request_body
from gateway.http.preferences import IdempotencyKey, Key, read_key
from gateway.trail import Trail
from storage.agents import AgentRow, find_agent, hash_of, verify_agent
from storage.reading import Database

HOME = "/api/v1/agents"
ONE = f"{HOME}/{{agent_id}}"
EXTERNAL = f"{HOME}/external"

Responses = dict[int | str, dict[str, object]]
AgentId = Annotated[Name, Path()]
_TOKEN = "gat_"  # noqa: S105 - how such a token begins; its tenant follows


class PlaceSettings(BaseSettings):
    """`GANGLION_PUBLIC_NATS_URL`: where outside agents find NATS; without it, as the gateway itself does."""

    model_config = SettingsConfigDict(frozen=True, env_prefix="GANGLION_")

    public_nats_url: str | None = None


class Registry:
    """The routes that change an agent."""

    def __init__(
        self, authenticator: Authenticator, commands: Commands, engine: Database, nats_url: str, calls: Calls
    ) -> None:
        self._authenticator = authenticator
        self._calls = calls
        self._commands = commands
        self._engine = engine
        self._nats_url = nats_url

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(tags=["agents"], dependencies=[Depends(HTTPBearer(auto_error=False))])
        errors: Responses = {202: {"model": Kept}, **problems(400, 401, 403, 404, 409, 413, 415, 422, 503)}
        made: Responses = {201: {"model": RegisteredAgent}, **errors}
        for path in (HOME, f"{HOME}/register"):
            router.post(
                path,
                status_code=201,
                summary="Register an agent, or change one",
                responses=made,
                openapi_extra=request_body(RegisterAgentRequest),
            )(self.register)
        router.post(
            f"{EXTERNAL}/register",
            status_code=201,
            summary="Register an agent, in the words of the External Agent Protocol",
            responses=made,
            openapi_extra=request_body(RegisterExternalAgentRequest),
        )(self.register_external)
        router.delete(ONE, summary="Deregister an agent", responses={200: {"model": Agent}, **errors})(self.delete)
        for verb, handler in (("deregister", self.deregister), ("drain", self.drain)):
            router.post(
                f"{ONE}/{verb}",
                summary=f"{verb.capitalize()} an agent",
                responses={200: {"model": Agent}, **errors},
                openapi_extra=request_body(DeregisterAgentRequest, required=False),
            )(handler)
        for path in (f"{ONE}/heartbeat", f"{EXTERNAL}/{{agent_id}}/heartbeat"):
            router.post(
                path,
                status_code=204,
                summary="Say that an agent lives",
                responses=errors,
                openapi_extra=request_body(HeartbeatRequest, required=False),
            )(self.heartbeat)
        return router

    async def register(self, request: Request, idempotency_key: IdempotencyKey = None) -> Response:  # noqa: ARG002 - as documented
        """Its token is shown once. Who registers a name again changes that agent and draws a new token."""
        principal = await self._authenticator.caller(request, AGENTS)
        _, body = await read_json(request)
        asked = read_body(RegisterAgentRequest, body)
        self._calls.admit(asked.endpoint_url)
        offer = AgentRegistered(
            agent_id=asked.name,
            name=asked.name,
            agent_type=asked.agent_type,
            capabilities=asked.weights(),
            technologies=tuple(asked.technologies),
            capacity=asked.max_concurrent_capacity,
            endpoint_url=asked.endpoint_url,
            version=asked.version,
            metadata=asked.metadata,
        )
        return await self._register(request, principal, offer, read_key(request, principal, HOME, body))

    async def register_external(self, request: Request, idempotency_key: IdempotencyKey = None) -> Response:  # noqa: ARG002 - as documented
        """The same; its capacity is 5."""
        principal = await self._authenticator.caller(request, AGENTS)
        _, body = await read_json(request)
        asked = read_body(RegisterExternalAgentRequest, body)
        self._calls.admit(asked.endpoint_url)
        offer = AgentRegistered(
            agent_id=asked.name,
            name=asked.name,
            agent_type=asked.agent_type,
            capabilities=dict.fromkeys(asked.capabilities, 1.0),
            endpoint_url=asked.endpoint_url,
            version=asked.version,
            metadata={**asked.metadata, "protocol_version": asked.protocol_version},
        )
        key = read_key(request, principal, f"{HOME}/external/register", body)
        return await self._register(request, principal, offer, key)

    async def delete(
        self,
        request: Request,
        agent_id: AgentId,
        drain: Annotated[bool, Query(description="Let it end what it has first")] = False,  # noqa: FBT002 - a query parameter
    ) -> Response:
        """Its token is worth nothing at once, its tasks go to others; with `drain` it ends them first."""
        return await self._leave(request, agent_id, DeregisterAgentRequest(drain=drain))

    async def deregister(
        self,
        request: Request,
        agent_id: AgentId,
        idempotency_key: IdempotencyKey = None,  # noqa: ARG002 - read from the request; named for the document
    ) -> Response:
        """As DELETE, with a reason."""
        asked, body = await read_optional(request, DeregisterAgentRequest)
        return await self._leave(request, agent_id, asked, ("deregister", body))

    async def drain(
        self,
        request: Request,
        agent_id: AgentId,
        idempotency_key: IdempotencyKey = None,  # noqa: ARG002 - read from the request; named for the document
    ) -> Response:
        """No new task; when the last one has ended, it is gone."""
        asked, body = await read_optional(request, DeregisterAgentRequest)
        return await self._leave(request, agent_id, asked.model_copy(update={"drain": True}), ("drain", body))

    async def heartbeat(
        self,
        request: Request,
        agent_id: AgentId,
        x_agent_token: Annotated[str | None, Header(description="The agent's token, instead of a bearer token")] = None,
    ) -> Response:
        """With the agent's own token or its owner's."""
        tenant, owner = await self._who_beats(request, agent_id, x_agent_token)
        asked, _ = await read_optional(request, HeartbeatRequest)
        beat = AgentHeartbeat(
            agent_id=agent_id,
            status=asked.status,
            in_flight=asked.tasks_in_progress,
            load=asked.current_load,
            metrics=asked.metrics,
        )
        answered = await self._commands.ask(_event(request, beat, tenant, owner, None), None)
        if answered.refusal is not None:
            raise agent_refusal(answered.refusal)
        return Response(status_code=204)

    async def _register(
        self, request: Request, principal: Principal, offer: AgentRegistered, key: Key | None
    ) -> Response:
        token = f"{_TOKEN}{principal.tenant}.{secrets.token_urlsafe(32)}"
        data = offer.model_copy(update={"token_hash": hash_of(token)})
        answered = await self._commands.ask(
            _event(request, data, principal.tenant, principal.owner, key), key, _is_same_offer
        )
        if answered.refusal is not None:
            raise agent_refusal(answered.refusal)
        if answered.outcome is None:
            return _kept(offer.agent_id, answered.headers)
        told = token if answered.event.data == data else None  # it is told once and is not kept
        return await self._registered(principal, offer.agent_id, told, answered.headers)

    async def _registered(
        self, principal: Principal, agent_id: str, token: str | None, headers: dict[str, str]
    ) -> Response:
        row = await self._found(principal.tenant, agent_id)
        headers = {"Location": f"{HOME}/{agent_id}", **headers}
        is_called = token is not None and row.endpoint_url is not None
        secret = self._calls.secret(row.tenant, agent_id, hash_of(token or "")) if is_called else None
        return json_answer(registered_view(row, token, self._nats_url, secret), 201, headers)

    async def _leave(
        self, request: Request, agent_id: str, asked: DeregisterAgentRequest, posted: tuple[str, bytes] | None = None
    ) -> Response:
        """`posted` is the verb of a POST and its body: under a key it finds also the agent that it made leave."""
        principal = await self._authenticator.caller(request, AGENTS)
        key = None
        if posted is not None:
            verb, body = posted
            key = read_key(request, principal, f"{ONE}/{verb}", f"{agent_id}\n".encode() + body)
        row = await self._own(principal, agent_id, gone=key is not None)
        data = AgentDeregistered(agent_id=agent_id, drain=asked.drain, by=principal.owner, reason=asked.reason)
        answered = await self._commands.ask(_event(request, data, row.tenant, row.owner, key), key)
        return await self._changed(row, answered)

    async def _changed(self, row: AgentRow, answered: Answered) -> Response:
        if answered.refusal is not None:
            raise agent_refusal(answered.refusal)
        if answered.outcome is None:
            return _kept(row.agent_id, answered.headers)
        return json_answer(agent_view(await self._found(row.tenant, row.agent_id)), 200, answered.headers)

    async def _who_beats(self, request: Request, agent_id: str, token: str | None) -> tuple[str, str]:
        """Tenant and owner of the agent that lives. Raises UnauthorizedError, NotFoundError."""
        if token is None:
            row = await self._own(await self._authenticator.caller(request, AGENTS), agent_id)
            return row.tenant, row.owner
        tenant = token.removeprefix(_TOKEN).partition(".")[0]
        if not await verify_agent(self._engine, tenant, agent_id, token):
            raise UnauthorizedError
        return tenant, (await self._found(tenant, agent_id)).owner

    async def _own(self, principal: Principal, agent_id: str, *, gone: bool = False) -> AgentRow:
        """The caller's agent; only with `gone` one that has left, too. Raises NotFoundError."""
        row = await self._found(principal.tenant, agent_id)
        if row.tenant == EVERYONE or not principal.may_see(row.tenant, row.owner):
            raise NotFoundError
        if row.status == "gone" and not gone:
            raise NotFoundError
        return row

    async def _found(self, tenant: str, agent_id: str) -> AgentRow:
        row = await find_agent(self._engine, tenant, agent_id)
        if row is None:
            raise NotFoundError
        return row


def _event(request: Request, data: EventData, tenant: str, owner: str, key: Key | None) -> Event[EventData]:
    return Event.first(
        data,
        source=SOURCE,
        tenant=tenant,
        owner=owner,
        event_id=key.event_id if key else None,
        traceparent=Trail.of(request.scope).traceparent,
    )


def _is_same_offer(one: EventData, other: EventData) -> bool:
    """Whether they differ in nothing but the tokens that were drawn."""
    fresh = {"token_hash": None}
    return one.model_copy(update=fresh) == other.model_copy(update=fresh)


def _kept(agent_id: str, headers: dict[str, str]) -> Response:
    return json_answer({"id": agent_id, "message": KEPT}, 202, {"Location": f"{HOME}/{agent_id}", **headers})
