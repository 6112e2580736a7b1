"""The door over NATS: a request on `in.<tenant>.<aggregate>.<name>`, answered like POST /api/v1/events.

The body is a CloudEvent in structured or binary mode (NATS binding 1.0.2). The answer is JSON with the header
`status`; a refusal is problem+json, with the error headers of NATS services beside (ADR-32).
"""

import asyncio
import secrets

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from structlog.contextvars import bind_contextvars

from events import trace
from events.base import TYPE_PREFIX
from events.codec import attributes_in, is_structured, lowered
from events.errors import GanglionError
from gateway.auth.rates import Rates
from gateway.auth.sender import Sender
from gateway.door.arrival import Arrival, data_of, structured
from gateway.door.door import Door, Receipt
from gateway.door.shares import Shares
from gateway.encoding import to_json
from gateway.errors import BUG, PROBLEM, Fault, InvalidBodyError, UnauthorizedError, refusal_of
from gateway.trail import Trail
from producers.permissions import GATEWAY, REQUESTS

log = structlog.get_logger()

_AT_ONCE = 512
_FINISH_WITHIN = 5.0
_ACCEPTED = "202"
_JSON = "application/json"

Answer = tuple[bytes, dict[str, str]]


class NatsDoor:
    """Serves requests; of several gateways one gets each."""

    def __init__(self, door: Door, rates: Rates) -> None:
        self._door = door
        self._rates = rates
        self._answering: set[asyncio.Task[None]] = set()
        self._shares = Shares()

    async def run(self, client: Client) -> None:
        """Serve until cancelled, then finish what is in hand."""

        async def asked(message: Msg) -> None:
            task = asyncio.create_task(self._respond(client, message))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)

        subscription = await client.subscribe(REQUESTS, queue=GATEWAY, cb=asked)
        try:
            await asyncio.Event().wait()
        finally:
            if client.is_connected:
                await subscription.unsubscribe()
            if self._answering:
                await asyncio.wait(self._answering, timeout=_FINISH_WITHIN)

    async def _respond(self, client: Client, message: Msg) -> None:
        body, headers = await self.answer(message)
        try:
            if message.reply:
                await client.publish(message.reply, body, headers=headers)
        except NatsError as error:
            log.warning("answer_lost", error=type(error).__name__)

    async def answer(self, message: Msg) -> Answer:
        """What a request is answered with; never raises."""
        headers = message.headers or {}
        trail = Trail(secrets.token_hex(16), trace.parse(headers.get("traceparent")) or trace.start())
        bind_contextvars(request_id=trail.request_id, trace_id=trail.trace_id)  # the task's own
        try:
            sender = Sender.from_headers(headers)
            with self._shares.taken(sender.tenant, of=_AT_ONCE):
                await self._rates.take(sender.principal)
                return _accepted(await self._door.take(_arrival(message, headers, sender, trail)))
        except GanglionError as error:
            return _refused(trail, error)
        except Exception:  # a bug: its traceback goes to the log, nothing of it to the client
            log.exception("request_failed", request_id=trail.request_id, trace_id=trail.trace_id)
            return _refused(trail, GanglionError(BUG))


def _arrival(message: Msg, headers: dict[str, str], sender: Sender, trail: Trail) -> Arrival:
    """The event of a request. Raises UnauthorizedError, BadJsonError, InvalidBodyError, InvalidEventError."""
    tokens = message.subject.split(".")
    if len(tokens) != 4:
        raise InvalidBodyError([Fault(field="subject", message="is in.<tenant>.<aggregate>.<name>")])
    _, tenant, aggregate, name = tokens
    if tenant != sender.tenant:
        raise UnauthorizedError
    if is_structured(headers):
        attributes = structured(message.data)
    else:
        attributes = {**attributes_in(lowered(headers)), "data": data_of(message.data)}
    arrival = Arrival.read(sender, attributes, trail.traceparent)
    if arrival.attributes.type != f"{TYPE_PREFIX}.{aggregate}.{name}.v1":
        raise InvalidBodyError([Fault(field="type", message="is not the one that the subject names")])
    return arrival


def _accepted(receipt: Receipt) -> Answer:
    headers = {"content-type": _JSON, "status": _ACCEPTED}
    if receipt.replayed:
        headers["Idempotency-Replayed"] = "true"
    return to_json(receipt.document()), headers


def _refused(trail: Trail, error: GanglionError) -> Answer:
    told = refusal_of(trail, error)
    headers = {
        **told.headers,
        "content-type": PROBLEM,
        "status": str(int(told.status)),
        "Nats-Service-Error-Code": str(int(told.status)),
        "Nats-Service-Error": told.status.phrase,
    }
    return to_json(told.body), headers
