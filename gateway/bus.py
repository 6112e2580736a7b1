"""The gateway's way to NATS: connects in the background, so that the process answers (503) while NATS is away."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.errors import NotFoundError

from events.base import Event, EventData
from events.codec import encode
from events.errors import BusUnavailableError, TransientError
from events.streams import BUS
from events.subjects import COMMITTED, subject_of
from gateway.errors import BodyTooLargeError
from producers.connect import BusSettings, Connection
from producers.letters import LetterBox
from producers.publisher import Ack, Publisher

log = structlog.get_logger()

PUBLISH_TIMEOUT = 1.5
_ENVELOPE_ROOM = 4_096


class Bus:
    """One connection for publishing, announcements and the hub's reader."""

    def __init__(self, settings: BusSettings) -> None:
        self._connection = Connection(settings, "gateway")
        self._publisher: Publisher | None = None
        self._up = asyncio.Event()

    @property
    def connected(self) -> bool:
        """Whether a publish could be sent now."""
        return self._publisher is not None and self._connection.client.is_connected

    async def run(self, on_announce: Callable[[Msg], Awaitable[None]]) -> None:
        """Connect, subscribe, and hold all that until cancelled."""
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(self._connection)
            publisher = await stack.enter_async_context(Publisher(client, timeout=PUBLISH_TIMEOUT))
            await client.subscribe(COMMITTED, cb=on_announce)
            self._publisher = publisher
            self._up.set()
            await asyncio.Event().wait()

    async def client(self) -> Client:
        """The connected client; waits for the first connection."""
        await self._up.wait()
        return self._connection.client

    async def publish(self, event: Event[EventData]) -> Ack:
        """Publish one event and wait for the acknowledgement.

        Raises BusUnavailableError (nothing sent), OutcomeUnknownError (sent, unanswered for 1.5 s), LogFullError,
        BodyTooLargeError.
        """
        if self._publisher is None:
            raise BusUnavailableError
        body = encode(event)
        if len(body) > self._connection.client.max_payload - _ENVELOPE_ROOM:
            raise BodyTooLargeError
        return await (await self._publisher.send_bytes(subject_of(event), body, event.id))

    async def publish_bytes(
        self, subject: str, body: bytes, message_id: str, headers: dict[str, str] | None = None
    ) -> Ack:
        """Publish what is encoded already, under a message id of the caller's; raises as `publish` does."""
        if self._publisher is None:
            raise BusUnavailableError
        return await (await self._publisher.send_bytes(subject, body, message_id, headers=headers))

    @property
    def letters(self) -> LetterBox:
        """The dead letters. Raises BusUnavailableError before the first connection."""
        if self._publisher is None:
            raise BusUnavailableError
        return LetterBox(self._connection.client)

    def connected_client(self) -> Client:
        """The client, if it is connected now. Raises BusUnavailableError."""
        if not self.connected:
            raise BusUnavailableError
        return self._connection.client

    async def log_size(self) -> tuple[int, int]:
        """How many bytes BUS holds, and how many it may hold (0: any number)."""
        if self._publisher is None:
            raise BusUnavailableError
        info = await self._connection.client.jetstream(timeout=PUBLISH_TIMEOUT).stream_info(BUS.name)
        return info.state.bytes, max(0, info.config.max_bytes or 0)

    async def stored(self, seq: int) -> bytes | None:
        """The body of a message of BUS, or None if it is gone."""
        js = self._connection.client.jetstream(timeout=PUBLISH_TIMEOUT)
        try:
            return (await js.get_msg(BUS.name, seq=seq, direct=True)).data
        except NotFoundError:
            return None
        except Exception as error:
            raise TransientError from error

    async def answers(self) -> None:
        """Return if NATS answers a ping, else raise BusUnavailableError."""
        if not self.connected:
            raise BusUnavailableError
        try:
            await self._connection.client.flush(timeout=1)
        except Exception as error:
            raise BusUnavailableError from error
