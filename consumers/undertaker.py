"""Undertaker: what the server gave up delivering gets its letter too. Advisory -> task.control, dead letter.

A consumer that dies on a message every time, or never answers, cannot bury it itself. An advisory names the place of
the message only; it is stored in a stream, since as a plain message it would be lost when nobody listens.
"""

import asyncio
from functools import partial

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from consumers._dead_letter import DeadLetters
from consumers._runtime import Resources, Service
from events.codec import decode
from events.errors import GanglionError, InvalidEventError
from events.ids import Name
from events.streams import BUS, UNDERTAKER
from producers.origins import Origin, Origins
from producers.publisher import Publisher
from producers.pull import Pull

log = structlog.get_logger()

REASON = "max_deliveries"
_WINDOW = 16
_AGAIN_AFTER = 0.5
_RETRY = 5.0


class Advisory(BaseModel):
    """`io.nats.jetstream.advisory.v1.max_deliver`, as far as it matters here."""

    model_config = ConfigDict(frozen=True)

    timestamp: AwareDatetime
    consumer: Name
    stream_seq: int
    deliveries: int


class Undertaker:
    """Buries for consumers that cannot."""

    def __init__(self, client: Client, publisher: Publisher) -> None:
        self._client = client
        self._publisher = publisher
        self._origins = Origins(client, UNDERTAKER.stream, UNDERTAKER.name)

    async def run(self) -> None:
        """Read advisories until cancelled."""
        try:
            while True:
                async with Pull(self._client, UNDERTAKER.stream, UNDERTAKER.name, window=_WINDOW) as pull:
                    await self._origins.begin(pull)
                    while messages := await pull.take(_WINDOW):
                        origin = self._origins.of(pull, messages)
                        for message in messages:
                            await self._take(message, origin)
                        await pull.back(len(messages))
                await asyncio.sleep(_AGAIN_AFTER)
        finally:
            self._origins.stop()

    async def _take(self, message: Msg, origin: Origin) -> None:
        """Bury what an advisory is about, and settle it; what is not settled comes back after ack_wait."""
        settle = message.ack
        try:
            await self._bury(Advisory.model_validate_json(message.data))
        except ValidationError:
            settle = message.term
        except (GanglionError, NatsError, TimeoutError, OSError) as error:
            log.warning("burial_failed", error=type(error).__name__)
            settle = partial(message.nak, delay=_RETRY)
        if not await self._origins.still(origin, patience=UNDERTAKER.ack_wait):
            return
        try:
            await settle()
        except (NatsError, OSError) as error:
            log.debug("not_settled", error=type(error).__name__)

    async def _bury(self, advisory: Advisory) -> None:
        found = await self._find(advisory)
        if found is None or found.subject is None:
            log.warning("nothing_to_bury", consumer=advisory.consumer, seq=advisory.stream_seq)
            return
        body = found.data or b""
        try:
            event = decode(body, found.headers)
        except InvalidEventError:
            event = None
        log.warning("buried", consumer=advisory.consumer, seq=advisory.stream_seq, deliveries=advisory.deliveries)
        await DeadLetters(self._client, self._publisher, advisory.consumer).bury(
            subject=found.subject,
            body=body,
            headers=found.headers,
            event=event,
            seq=advisory.stream_seq,
            deliveries=advisory.deliveries,
            reason=REASON,
        )

    async def _find(self, advisory: Advisory) -> RawStreamMsg | None:
        """The message, unless the log began anew since and has another one in its place."""
        try:
            found = await self._client.jetstream().get_msg(BUS.name, seq=advisory.stream_seq)
        except NotFoundError:
            return None
        return None if found.time is not None and found.time > advisory.timestamp else found


def build(resources: Resources) -> Service:
    """The consumer."""
    return Service(Undertaker(resources.client, resources.publisher).run)
