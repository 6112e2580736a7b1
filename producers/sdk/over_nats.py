"""NATS for both: a request for what is sent, a request with many answers for what is watched."""

import asyncio
import json
from base64 import urlsafe_b64decode
from collections.abc import AsyncGenerator, Coroutine

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from pydantic import TypeAdapter, ValidationError

import producers.tcp  # noqa: F401  # what nats-py connects with
from events.base import JsonObject
from producers.sdk.errors import ProducerError, TryAgainError, judged
from producers.sdk.frames import Frame, read_frame
from producers.sdk.outgoing import Receipt
from producers.sdk.transport import Token, text_of

_SILENCE = 25.0
"""Seconds without a word, not even a ping, after which a watch counts as lost."""
_CONNECT_WITHIN = 5
_document = TypeAdapter(JsonObject)


class NatsTransport:
    """To a nats-server at `nats://host:port`; tenant and inbox follow from the token."""

    def __init__(self, url: str, token: Token) -> None:
        self._url = url
        self._token = token
        self._tenant, owner = _whose(token() if callable(token) else token)
        self._inbox = f"_INBOX.{self._tenant}.{owner}"
        self._connecting = asyncio.Lock()
        self._line: _Line | None = None

    async def open(self) -> None:
        """Nothing yet: the first use connects."""

    async def close(self) -> None:
        """Close the connection."""
        line, self._line = self._line, None
        if line is not None:
            await line.client.close()

    async def send(self, event: JsonObject, within: float) -> Receipt:
        """Request on the door's subject for the event's type."""
        name = ".".join(str(event["type"]).split(".")[2:4])
        body = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
        line = await self._connected(within)
        request = line.client.request(f"in.{self._tenant}.{name}", body, timeout=within)
        message = await line.unless_cut(request)
        headers, document = message.headers or {}, _read(message.data)
        status = int(headers.get("status", "0"))
        if status == 202:
            replayed = headers.get("Idempotency-Replayed") == "true"
            return Receipt.model_validate({**document, "replayed": replayed})
        raise judged(status, document, headers.get("Retry-After"))

    async def frames(self, room: str, after: str | None) -> AsyncGenerator[Frame]:
        """One watch; the gateway ends it after a minute, and it is asked for anew."""
        line = await self._connected(_CONNECT_WITHIN)
        inbox = line.client.new_inbox()
        heard = await line.client.subscribe(inbox)
        try:
            await line.client.publish(f"watch.{self._tenant}", _request(room, after), reply=inbox)
            while True:
                message = await line.unless_cut(heard.next_msg(timeout=_SILENCE))
                if message.headers and message.headers.get("Status") == "503":
                    raise TryAgainError("no gateway is there")
                for text in message.data.splitlines():
                    frame = _read(text)
                    if frame.get("type") == "again":
                        raise TryAgainError("asked to come again", 0.0)
                    if (told := read_frame(frame)) is not None:
                        yield told
        finally:
            if line.client.is_connected:
                await heard.unsubscribe()

    async def _connected(self, within: float) -> "_Line":
        """The connection, made anew if it was cut. Raises TryAgainError."""
        async with self._connecting:
            if self._line is None or self._line.is_cut:
                await self.close()
                self._line = await self._connect(within)
            return self._line

    async def _connect(self, within: float) -> "_Line":
        line = _Line()
        try:
            async with asyncio.timeout(within):
                await line.client.connect(
                    self._url,
                    token=text_of(self._token),
                    inbox_prefix=self._inbox,
                    name="ganglion-sdk",
                    allow_reconnect=False,
                    max_reconnect_attempts=1,
                    error_cb=_quiet,
                    disconnected_cb=line.cut,
                    closed_cb=line.cut,
                )
        except (NatsError, OSError) as error:
            await line.client.close()  # nats-py leaves the socket of an attempt that failed open
            raise TryAgainError(f"{self._url}: {type(error).__name__}") from error
        return line


class _Line:
    """One connection. It is never mended: what was under way on it when it was cut is unknown, so it is asked anew."""

    def __init__(self) -> None:
        self.client = Client()
        self._cut = asyncio.Event()

    @property
    def is_cut(self) -> bool:
        """Whether it is of no more use."""
        return self._cut.is_set() or not self.client.is_connected

    async def cut(self) -> None:
        """nats-py says that the connection is gone."""
        self._cut.set()

    async def unless_cut(self, work: Coroutine[object, object, Msg]) -> Msg:
        """What comes of `work`. Raises TryAgainError if nothing does, or the connection is cut before."""
        working, cutting = asyncio.create_task(work), asyncio.create_task(self._cut.wait())
        try:
            await asyncio.wait({working, cutting}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise TryAgainError("the connection was cut")
            return working.result()
        except (NatsError, OSError) as error:
            raise TryAgainError(type(error).__name__) from error
        finally:
            for task in (working, cutting):
                task.cancel()
            await asyncio.gather(working, cutting, return_exceptions=True)


async def _quiet(_: Exception) -> None:
    """What goes wrong is told to who asked for it."""


def _request(room: str, after: str | None) -> bytes:
    return json.dumps({"room": room, **({} if after is None else {"after": after})}).encode()


def _read(data: bytes) -> JsonObject:
    try:
        return _document.validate_json(data)
    except ValidationError:
        return {"code": "no_json", "detail": "the answer was not JSON"}


def _whose(token: str) -> tuple[str, str]:
    """Tenant and subject of a token; whether it is valid the server decides. Raises ProducerError."""
    try:
        payload = token.split(".")[1]
        claims = _document.validate_json(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return str(claims["tenant"]), str(claims["sub"])
    except (IndexError, ValueError, KeyError) as error:
        raise ProducerError("the token is no JWT with `tenant` and `sub`") from error
