"""An agent's line to Ganglion over NATS: facts go through the door, one request each, tried until they are answered.

A line is never mended: what was under way when it was cut is unknown, so a new one is made and everything is said
again, under the same ids.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from pydantic import TypeAdapter, ValidationError

import producers.tcp  # noqa: F401  # what nats-py connects with
from events.base import TYPE_PREFIX, JsonObject
from producers.agents.errors import SupersededError
from producers.agents.registering import Registration, is_good
from producers.sdk.errors import RefusedError, TryAgainError, judged
from producers.sdk.pauses import Pauses

log = structlog.get_logger()

ANSWER_WITHIN = 10.0
_CONNECT_WITHIN = 5.0
_NOT_BELIEVED = 401
_document = TypeAdapter(JsonObject)

Hear = Callable[[Msg], Awaitable[None]]


class Line:
    """One connection as the agent; `cut` is set when it is of no more use."""

    def __init__(self, registration: Registration) -> None:
        self._registration = registration
        self.client = Client()
        self.cut = asyncio.Event()

    async def open(self, url: str, hear_stop: Hear) -> None:
        """Connect and listen for runs to stop. Raises what nats-py raises."""
        place = self._registration.connection
        async with asyncio.timeout(_CONNECT_WITHIN):
            await self.client.connect(
                url,
                user=place.user,
                password=self._registration.auth_token,
                inbox_prefix=place.inbox_prefix,
                name=f"agent {self._registration.agent_id}",
                allow_reconnect=False,
                max_reconnect_attempts=1,
                ping_interval=5,
                error_cb=_quiet,
                disconnected_cb=self._on_cut,
                closed_cb=self._on_cut,
            )
            await self.client.subscribe(place.stop_subject, cb=hear_stop)

    async def close(self) -> None:
        """Close it."""
        self.cut.set()
        if not self.client.is_closed:
            await self.client.close()

    async def request(self, subject: str, body: bytes) -> Msg:
        """One request. Raises TryAgainError if nothing comes of it, or the line is cut meanwhile."""
        working = asyncio.create_task(self.client.request(subject, body, timeout=ANSWER_WITHIN))
        cutting = asyncio.create_task(self.cut.wait())
        try:
            await asyncio.wait({working, cutting}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise TryAgainError("the connection was cut")
            return working.result()
        except (NatsError, OSError, TimeoutError) as error:
            raise TryAgainError(type(error).__name__) from error
        finally:
            for task in (working, cutting):
                task.cancel()
            await asyncio.gather(working, cutting, return_exceptions=True)

    async def _on_cut(self) -> None:
        self.cut.set()


class Lines:
    """The line of the moment; `current()` waits for one."""

    def __init__(self, gateway_url: str, nats_url: str, registration: Registration, hear_stop: Hear) -> None:
        self._gateway_url = gateway_url
        self._nats_url = nats_url
        self._hear_stop = hear_stop
        self._line: Line | None = None
        self._making = asyncio.Lock()
        self.registration = registration

    async def current(self) -> Line:
        """A line that is not cut, made anew if need be. Raises SupersededError."""
        async with self._making:
            if self._line is not None and not self._line.cut.is_set() and self._line.client.is_connected:
                return self._line
            await self.close()
            pauses = Pauses()
            while True:
                line = Line(self.registration)
                try:
                    await line.open(self._nats_url, self._hear_stop)
                except (NatsError, OSError, TimeoutError) as error:
                    await line.close()
                    log.info("agent_not_connected", error=type(error).__name__)
                    if await is_good(self._gateway_url, self.registration) is False:
                        raise SupersededError("this agent's token is not taken any more") from error
                    await asyncio.sleep(pauses.next())
                else:
                    self._line = line
                    return line

    async def close(self) -> None:
        """Let go of the line."""
        line, self._line = self._line, None
        if line is not None:
            await line.close()

    async def state(self, name: str, event_id: str, data: JsonObject, *, within: float) -> JsonObject:
        """State a fact at the door, and again until it is answered: the receipt.

        Raises RefusedError, SupersededError; TimeoutError when `within` seconds have passed.
        """
        registration = self.registration
        body = {
            "specversion": "1.0",
            "id": event_id,
            "source": f"/agents/{registration.agent_id}",
            "type": f"{TYPE_PREFIX}.{name}.v1",
            "data": data,
        }
        sent = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        pauses = Pauses()
        async with asyncio.timeout(within):
            while True:
                line = await self.current()
                try:
                    return _receipt(await line.request(f"in.{registration.tenant}.{name}", sent))
                except TryAgainError as error:
                    await asyncio.sleep(pauses.next(error.after))
                except RefusedError as error:
                    if error.status != _NOT_BELIEVED:
                        raise
                    await line.close()  # a new one tells whether the token is still good
                    await asyncio.sleep(pauses.next())

    async def settle(self, message: Msg, word: bytes) -> None:
        """Acknowledge an assignment (`+ACK`) or say that it is worked on (`+WPI`), over whichever line there is.

        Best effort: what is not settled comes again, and is recognised.
        """
        line = self._line
        if line is not None and line.client.is_connected:
            try:
                await line.client.publish(message.reply, word)
            except NatsError as error:
                log.debug("not_settled", error=type(error).__name__)


def _receipt(message: Msg) -> JsonObject:
    headers = message.headers or {}
    try:
        document = _document.validate_json(message.data)
    except ValidationError:
        document = {"code": "no_json", "detail": "the answer was not JSON"}
    status = int(headers.get("status", "0"))
    if status == 202:
        return document
    if headers.get("Status") == "503" or status == 0:
        raise TryAgainError("no gateway is there")
    raise judged(status, document, headers.get("Retry-After"))


def is_over(refusal: RefusedError) -> bool:
    """Whether a refusal means that the run is not this execution's any more."""
    return refusal.status in {404, 409}


async def _quiet(_: Exception) -> None:
    """What goes wrong is told to who asked for it."""
