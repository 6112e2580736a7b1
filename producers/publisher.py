"""A lean, pipelining JetStream publisher on nats-py's connection (perf.md 8: 1.7 times js.publish).

One wildcard inbox, one dictionary of futures, one timer for all time-outs. Publishes on one connection reach the
stream in the order of the calls.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar

import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from events.base import Event, EventData
from events.codec import CONTENT_TYPE, MSG_ID, STRUCTURED, encode
from events.errors import (
    BusUnavailableError,
    GanglionError,
    InvalidEventError,
    LogFullError,
    OutcomeUnknownError,
)
from events.ids import new_id
from events.subjects import subject_of
from producers.client import listen, put

_TICK = 0.1
_BATCH_ID, _BATCH_SEQUENCE, _BATCH_COMMIT = "Nats-Batch-Id", "Nats-Batch-Sequence", "Nats-Batch-Commit"
ATOMIC_FROM = 12
"""An atomic batch costs 2-3 ms whatever its size (perf.md 11), so it pays only from here on, and only with fsync."""

Encoded = tuple[str, bytes, str]
"""Subject, body and message id of an event that is ready to be written."""

T = TypeVar("T")
_HEADER_ROOM = 64
_NO_RESPONDERS = "503"
_MAXIMUM_EXCEEDED = (10_077, 10_047, 10_023)


@dataclass(frozen=True, slots=True)
class Ack:
    """The stream has the event at `seq`; `duplicate` if it had it already (then `seq` is the first one's)."""

    stream: str
    seq: int
    duplicate: bool


class Publisher:
    """Publishes events and waits for the stream's acknowledgement; `async with Publisher(client) as p`.

    Failures are BusUnavailableError (nothing sent), OutcomeUnknownError (sent, no answer in `timeout` seconds),
    LogFullError (the stream refused). Repeating a publish is harmless: the event's id is its Nats-Msg-Id.
    `atomic` is for a log that is fsynced with every write.
    """

    def __init__(self, client: Client, *, timeout: float = 5.0, atomic: bool = False) -> None:
        self._client = client
        self._atomic = atomic
        self._spreading: set[asyncio.Task[None]] = set()
        self._timeout = timeout
        self._inbox = client.new_inbox()
        self._next = 0
        self._waiting: dict[str, tuple[float, asyncio.Future[Ack]]] = {}
        self._subscription: Subscription | None = None
        self._timer: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._subscription = await listen(self._client, f"{self._inbox}.*", self._on_ack)
        self._timer = asyncio.create_task(self._expire())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for _, future in self._waiting.values():
            future.cancel()
        self._waiting.clear()
        if self._subscription is not None and self._client.is_connected:
            await self._subscription.unsubscribe()

    @property
    def in_flight(self) -> int:
        """How many publishes are not acknowledged yet."""
        return len(self._waiting)

    async def publish(self, event: Event[EventData]) -> Ack:
        """Publish one event and wait for its acknowledgement."""
        return await (await self.send(event))

    async def send(self, event: Event[EventData]) -> asyncio.Future[Ack]:
        """Write one event to the connection; the future is its acknowledgement."""
        return await self.send_bytes(subject_of(event), encode(event), event.id)

    async def send_all(self, events: Sequence[Event[EventData]]) -> list[asyncio.Future[Ack]]:
        """Write several events in order; one future each. Under `atomic`, from 12 events on, they share one fsync."""
        if not self._atomic or len(events) < ATOMIC_FROM:
            return [await self.send(event) for event in events]
        encoded = [(subject_of(event), encode(event), event.id) for event in events]
        futures = [asyncio.get_running_loop().create_future() for _ in events]
        committed = await self._write_batch(encoded, acknowledged=True)
        spreading = asyncio.create_task(self._spread(committed, encoded, futures))
        self._spreading.add(spreading)
        spreading.add_done_callback(self._spreading.discard)
        return futures

    async def send_bytes(
        self,
        subject: str,
        body: bytes,
        message_id: str,
        *,
        content_type: str = STRUCTURED,
        headers: dict[str, str] | None = None,
    ) -> asyncio.Future[Ack]:
        """Write encoded bytes to the connection under `message_id`; the future is the acknowledgement."""
        unusual = None
        if headers or content_type != STRUCTURED:
            unusual = {CONTENT_TYPE: content_type, **(headers or {})}
        token, future = self._expect_ack()
        try:
            await self._write(subject, body, message_id, unusual, reply=f"{self._inbox}.{token}")
        except GanglionError:
            self._waiting.pop(token, None)
            raise
        return future

    async def post_all(self, items: Sequence[Encoded], *, atomic: bool = True) -> None:
        """Write encoded events and ask for no acknowledgement: the caller has another way to know.

        `atomic=False` for a repeat: one event that the stream has already would refuse a whole atomic batch.
        """
        if self._atomic and atomic and len(items) >= ATOMIC_FROM:
            await self._write_batch(items, acknowledged=False)
            return
        for subject, body, message_id in items:
            await self._write(subject, body, message_id)

    def _expect_ack(self) -> tuple[str, asyncio.Future[Ack]]:
        self._next += 1
        token = str(self._next)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Ack] = loop.create_future()
        self._waiting[token] = (loop.time() + self._timeout, future)
        return token, future

    async def _write(
        self, subject: str, body: bytes, message_id: str, headers: dict[str, str] | None = None, *, reply: str = ""
    ) -> None:
        """Write one message; `headers` are those beside its id, if they are not what every event has."""
        if not self._client.is_connected:
            raise BusUnavailableError
        room = _HEADER_ROOM + len(message_id) + len(STRUCTURED) + sum(map(len, headers.values()) if headers else ())
        if len(body) + room > self._client.max_payload:
            raise InvalidEventError("the event is larger than the bus takes")  # the server would hang up on us
        try:
            if headers is None:
                await put(self._client, subject, body, message_id, reply=reply)
            else:
                await self._client.publish(subject, body, reply=reply, headers={MSG_ID: message_id, **headers})
        except Exception as error:
            raise BusUnavailableError from error

    async def _write_batch(self, items: Sequence[Encoded], *, acknowledged: bool) -> asyncio.Future[Ack]:
        """One atomic batch (NATS ADR-50): nothing of it is stored before its last message commits it."""
        batch = new_id().hex
        token, future = self._expect_ack() if acknowledged else ("", asyncio.get_running_loop().create_future())
        for place, (subject, body, message_id) in enumerate(items, 1):
            headers = {CONTENT_TYPE: STRUCTURED, _BATCH_ID: batch, _BATCH_SEQUENCE: str(place)}
            last = place == len(items)
            if last:
                headers[_BATCH_COMMIT] = "1"
            reply = f"{self._inbox}.{token}" if last and acknowledged else ""
            await self._write(subject, body, message_id, headers, reply=reply)
        return future

    async def _spread(
        self, committed: asyncio.Future[Ack], items: Sequence[Encoded], futures: Sequence[asyncio.Future[Ack]]
    ) -> None:
        """Give each event its acknowledgement; a refused batch (an event is there already) is sent one by one."""
        try:
            ack = await committed
        except GanglionError:
            await self._one_by_one(items, futures)
            return
        first = ack.seq - len(items) + 1
        for place, future in enumerate(futures):
            if not future.done():
                future.set_result(Ack(ack.stream, first + place, duplicate=False))

    async def _one_by_one(self, items: Sequence[Encoded], futures: Sequence[asyncio.Future[Ack]]) -> None:
        sent = [await _caught(self.send_bytes(*item)) for item in items]
        for outcome, future in zip(sent, futures, strict=True):
            settled = await _caught(outcome) if isinstance(outcome, asyncio.Future) else outcome
            if future.done():
                continue
            if isinstance(settled, Ack):
                future.set_result(settled)
            elif isinstance(settled, GanglionError):
                _fail(future, settled)

    def _on_ack(self, message: Msg) -> None:
        entry = self._waiting.pop(message.subject.rpartition(".")[2], None)
        if entry is None or entry[1].done():
            return
        try:
            outcome = _read_ack(message)
        except (orjson.JSONDecodeError, KeyError):
            outcome = OutcomeUnknownError("the answer was no acknowledgement")
        if isinstance(outcome, Ack):
            entry[1].set_result(outcome)
        else:
            _fail(entry[1], outcome)

    async def _expire(self) -> None:
        """Fail what has waited too long: in order of sending, so the first that has time left ends the look."""
        while True:
            await asyncio.sleep(_TICK)
            now = asyncio.get_running_loop().time()
            while self._waiting:
                token = next(iter(self._waiting))
                deadline, future = self._waiting[token]
                if deadline > now:
                    break
                del self._waiting[token]
                if not future.done():
                    _fail(future, OutcomeUnknownError())


def _fail(future: asyncio.Future[Ack], error: GanglionError) -> None:
    """Tell whoever waits; if nobody does, as where the next tick repeats the publish, that is no error of its own."""
    future.set_exception(error)
    future.exception()  # else asyncio writes a traceback when the future is forgotten


async def _caught(work: Awaitable[T]) -> T | GanglionError:
    try:
        return await work
    except GanglionError as error:
        return error


def _read_ack(message: Msg) -> Ack | GanglionError:
    if message.headers and message.headers.get("Status") == _NO_RESPONDERS:
        return BusUnavailableError("no stream takes this subject")
    answer = orjson.loads(message.data)
    error = answer.get("error")
    if error is None:
        return Ack(answer["stream"], answer["seq"], answer.get("duplicate", False))
    if error.get("err_code") in _MAXIMUM_EXCEEDED:
        return LogFullError()
    if error.get("code") == 503:
        return BusUnavailableError(error.get("description"))
    return InvalidEventError(f"the stream refused the event: {error.get('description')}")
