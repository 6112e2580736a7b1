"""The door over HTTP: POST /api/v1/events takes CloudEvents in binary, structured and batch mode (HTTP binding 1.0.2).

Events are read by our own codec and not by the `cloudevents` SDK, which makes up an id where there is none: a
producer that tries again would be a second event (docs/adr/0009). The SDK is the oracle of the tests.
"""

import asyncio
from collections.abc import Mapping

from fastapi import APIRouter, Depends
from fastapi.security import HTTPBearer
from starlette.requests import Request
from starlette.responses import Response

from events.codec import attributes_in
from events.errors import GanglionError, InvalidEventError
from gateway.auth.bearer import Authenticator, bearer
from gateway.auth.callout import AgentRegistry
from gateway.auth.rates import Rates
from gateway.auth.sender import Sender
from gateway.door import documents
from gateway.door.arrival import Arrival, attributes_of, data_of, structured
from gateway.door.door import Door, Receipt
from gateway.errors import Fault, InvalidBodyError, UnauthorizedError, WrongMediaTypeError, refusal_of
from gateway.http.answers import json_answer
from gateway.http.bodies import parse_json, read_bytes
from gateway.http.documentation import problems
from gateway.trail import TEMPLATE, Trail

PATH = "/api/v1/events"

MAX_BATCH = 100
_AT_ONCE = 16
_AGENT = "ganglion-agent"
_STRUCTURED = "application/cloudevents+json"
_BATCH = "application/cloudevents-batch+json"
_VERSION = "ce-specversion"


class HttpDoor:
    """The route, and the handshake of CloudEvents' webhooks on it."""

    def __init__(self, door: Door, authenticator: Authenticator, agents: AgentRegistry, rates: Rates) -> None:
        self._door = door
        self._authenticator = authenticator
        self._agents = agents
        self._rates = rates

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(tags=["events"])
        router.post(
            PATH,
            summary="Publish one CloudEvent, or a batch",
            dependencies=[Depends(HTTPBearer(auto_error=False))],
            status_code=202,
            responses={
                202: {"model": documents.Receipt},
                200: {"model": documents.BatchAnswer, "description": "A batch: what became of each event"},
                **problems(400, 401, 403, 404, 409, 413, 415, 422, 503),
            },
            openapi_extra=documents.request_bodies(),
        )(self.publish)
        router.options(
            PATH,
            summary="May I deliver here?",
            response_class=Response,
            responses={200: {"description": "Yes, with a token"}, **problems(429)},
            openapi_extra={"security": []},
        )(self.handshake)
        return router

    async def publish(self, request: Request) -> Response:
        """A repeat of an event (same source and id) gets the first answer, with `Idempotency-Replayed: true`."""
        request.scope[TEMPLATE] = PATH
        sender = await self._sender(request)
        trail = Trail.of(request.scope)
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type == _BATCH:
            return await self._batch(sender, await read_bytes(request), trail)
        body = await read_bytes(request)
        if content_type == _STRUCTURED:
            attributes = structured(body)
        elif _VERSION in request.headers:
            attributes = {**attributes_in(_single(request)), "datacontenttype": content_type or None}
            attributes["data"] = data_of(body)
        else:
            raise WrongMediaTypeError(f"send {_STRUCTURED}, {_BATCH}, or the attributes as ce- headers")
        return _answer(await self._door.take(Arrival.read(sender, attributes, trail.traceparent)))

    async def handshake(self, request: Request) -> Response:
        """The validation request of CloudEvents' webhooks (Web Hooks 1.0, 4): a token decides, not an origin."""
        headers = {"Allow": "OPTIONS, POST"}
        origin = request.headers.get("webhook-request-origin")
        if origin is not None:
            headers["WebHook-Allowed-Origin"] = origin
            if "webhook-request-rate" in request.headers:
                headers["WebHook-Allowed-Rate"] = "*"
        return Response(headers=headers)

    async def _sender(self, request: Request) -> Sender:
        token = bearer(request.headers)
        named = request.headers.get(_AGENT)
        if named is None:
            return Sender.of(await self._authenticator.principal(token))
        tenant, _, agent_id = named.partition(".")
        if token is None:
            raise UnauthorizedError
        if not await self._agents.verify(tenant, agent_id, token):
            await self._authenticator.stranger()
            raise UnauthorizedError
        return Sender.agent(tenant, agent_id, token)

    async def _batch(self, sender: Sender, body: bytes, trail: Trail) -> Response:
        """Each event is taken for itself, in no particular order, and counts as a request."""
        events = parse_json(body)
        if not isinstance(events, list):
            raise InvalidEventError("a batch is a JSON array of events")
        if len(events) > MAX_BATCH:
            raise InvalidBodyError([Fault(field="body", message=f"a batch holds at most {MAX_BATCH} events")])
        free = asyncio.Semaphore(_AT_ONCE)

        async def one(value: object) -> dict[str, object]:
            async with free:
                return await self._item(sender, value, trail)

        return json_answer({"items": await asyncio.gather(*(one(value) for value in events))})

    async def _item(self, sender: Sender, value: object, trail: Trail) -> dict[str, object]:
        try:
            await self._rates.take(sender.principal)
            receipt = await self._door.take(Arrival.read(sender, attributes_of(value), trail.traceparent))
        except GanglionError as error:
            told = refusal_of(trail, error)
            return {"status": int(told.status), "problem": told.body}
        return {"status": 202, "receipt": receipt.document()}


def _single(request: Request) -> Mapping[str, str]:
    """The headers; each may occur once."""
    found = dict(request.headers.items())
    if sum(name.startswith(b"ce-") for name, _ in request.headers.raw) != sum(name.startswith("ce-") for name in found):
        raise InvalidEventError("a ce- header occurs twice")
    return found


def _answer(receipt: Receipt) -> Response:
    document = receipt.document()
    headers = {}
    if "task_id" in document:
        headers["Location"] = f"/api/v1/tasks/{document['task_id']}"
    if receipt.replayed:
        headers["Idempotency-Replayed"] = "true"
    return json_answer(document, 202, headers)
