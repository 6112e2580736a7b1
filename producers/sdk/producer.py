"""The producer: events out, tried again until they are kept; rooms in; and a buffer for when nobody is there."""

import asyncio
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self
from uuid import UUID

from pydantic import JsonValue

from events.base import JsonObject
from events.task import Priority
from producers.sdk.buffer import Buffer
from producers.sdk.errors import ProducerError, RefusedError, TryAgainError, UnavailableError, UndeliveredError
from producers.sdk.frames import Happening, Snapshot
from producers.sdk.outgoing import SOURCE, Receipt, Task, cloud_event
from producers.sdk.over_http import HttpTransport
from producers.sdk.over_nats import NatsTransport
from producers.sdk.pauses import Pauses
from producers.sdk.transport import Token, Transport
from producers.sdk.watch import Watch

WITHIN = 30.0
_ONE_TRY = 10.0


class EventProducer:
    """Publishes events and watches rooms; `async with EventProducer(url, token) as producer`.

    `url` is a gateway (`http://…`) or a nats-server (`nats://…`); `token` a Ganglion token, or a function that gives
    a fresh one. `source` names this producer: the same source and event id are the same event, always. At most
    `max_buffered` events and `max_buffered_bytes` wait in `send`'s buffer; what is refused of them goes to
    `on_refused`. Closing waits `linger` seconds for the buffer. `say` is told in one line when a watch loses its
    connection.
    """

    def __init__(
        self,
        url: str,
        token: Token,
        *,
        source: str = SOURCE,
        max_buffered: int = 1_000,
        max_buffered_bytes: int = 8 * 1024 * 1024,
        linger: float = 5.0,
        on_refused: Callable[[JsonObject, RefusedError], None] | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._transport = transport_to(url, token)
        self._source = source
        self._say = say
        self._linger = linger
        self._buffer = Buffer(
            self._deliver_some_time, on_refused, max_events=max_buffered, max_bytes=max_buffered_bytes
        )
        self._sending: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._transport.open()
        self._sending = asyncio.create_task(self._buffer.run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Deliver what waits; raises UndeliveredError with what is left."""
        try:
            if error is None:
                await self.flush(self._linger)
        except UnavailableError:
            raise UndeliveredError(self._buffer.events) from None
        finally:
            if self._sending is not None:
                self._sending.cancel()
                await asyncio.gather(self._sending, return_exceptions=True)
            await self._transport.close()

    @property
    def buffered(self) -> int:
        """How many events of `send` are not delivered yet."""
        return len(self._buffer)

    async def submit(
        self,
        prompt: str,
        *,
        context: str | JsonObject | None = None,
        constraints: JsonObject | None = None,
        acceptance_criteria: Sequence[str] = (),
        budget: JsonObject | None = None,
        priority: Priority = "normal",
        required_capabilities: Sequence[str] = (),
        metadata: JsonObject | None = None,
        event_id: str | None = None,
        session: str | None = None,
        within: float = WITHIN,
        **more: JsonValue,
    ) -> Task:
        """Ask for a task; the members are those of POST /api/v1/tasks, `more` the seldom ones.

        With an `event_id` of your own the same request after a crash gives the same task. Raises RefusedError, and
        UnavailableError if it is not kept within so many seconds.
        """
        given: JsonObject = {
            "context": context,
            "constraints": constraints,
            "acceptance_criteria": list(acceptance_criteria),
            "budget": budget,
            "required_capabilities": list(required_capabilities),
            "metadata": metadata,
            **more,
        }
        spec: JsonObject = {"prompt": prompt, "priority": priority, **{k: v for k, v in given.items() if v}}
        receipt = await self.publish(
            "task.submitted", {"spec": spec}, event_id=event_id, session=session, within=within
        )
        if receipt.task_id is None:
            raise ProducerError("the receipt names no task")
        return Task(id=receipt.task_id, receipt=receipt)

    async def cancel(self, task: Task | UUID, reason: str | None = None, *, within: float = WITHIN) -> Receipt:
        """Stop a task. Raises RefusedError (`task_final` if it has ended), UnavailableError."""
        command: JsonObject = {"task_id": str(task.id if isinstance(task, Task) else task), "action": "cancel"}
        if reason is not None:
            command["reason"] = reason
        return await self.publish("task.control", command, within=within)

    async def publish(
        self,
        event_type: str,
        data: JsonObject,
        *,
        event_id: str | None = None,
        session: str | None = None,
        traceparent: str | None = None,
        within: float = WITHIN,
    ) -> Receipt:
        """Publish one event and wait until it is kept; it is tried again, as the same event, for `within` seconds.

        `event_type` may be short (`task.control`). Raises RefusedError, UnavailableError.
        """
        event = cloud_event(
            event_type, data, event_id=event_id, source=self._source, session=session, traceparent=traceparent
        )
        return await self._deliver(event, within)

    def send(
        self, event_type: str, data: JsonObject, *, event_id: str | None = None, session: str | None = None
    ) -> str:
        """Have one event delivered as soon as that is possible, in the order of the calls; returns its id at once.

        The buffer is in memory only. Raises BufferFullError.
        """
        event = cloud_event(event_type, data, event_id=event_id, source=self._source, session=session)
        self._buffer.put(event)
        return str(event["id"])

    async def flush(self, within: float = WITHIN) -> None:
        """Wait until everything that was sent is delivered or refused. Raises UnavailableError."""
        try:
            async with asyncio.timeout(within):
                await self._buffer.empty()
        except TimeoutError:
            raise UnavailableError(f"{len(self._buffer)} events wait after {within:g} s") from None

    def watch(self, room: Task | UUID | str, *, after: str | None = None, deltas: bool = False) -> Watch:
        """Follow a task from its beginning, or a room (`tasks`, `session:ID`, …) from now; `after` is a cursor.

        With `deltas` also what an agent is saying while it says it. The watch needs this producer to be open.
        """
        if isinstance(room, str):
            return Watch(self._transport, room, after=after, deltas=deltas, say=self._say)
        task_id = room.id if isinstance(room, Task) else room
        return Watch(self._transport, f"task:{task_id}", after=after or "0", deltas=deltas, say=self._say)

    async def finished(self, task: Task | UUID, *, within: float | None = None) -> Happening | Snapshot:
        """The event that ends a task (its `data` holds result or error), or the snapshot that shows it ended.

        Raises UnavailableError if it has not ended within so many seconds, RefusedError.
        """
        last: Happening | Snapshot | None = None
        try:
            async with asyncio.timeout(within):
                async for told in self.watch(task):
                    if isinstance(told, Snapshot) or (isinstance(told, Happening) and told.is_final):
                        last = told
        except TimeoutError:
            raise UnavailableError(f"the task has not ended after {within:g} s") from None
        if last is None:
            raise ProducerError("the task's room ended without a final state")
        return last

    async def _deliver(self, event: JsonObject, within: float) -> Receipt:
        loop, pauses = asyncio.get_running_loop(), Pauses()
        deadline = loop.time() + within
        while True:
            try:
                return await self._try(event, max(0.1, min(_ONE_TRY, deadline - loop.time())))
            except TryAgainError as error:
                pause = pauses.next(error.after)
                if loop.time() + pause > deadline:
                    raise UnavailableError(f"not kept within {within:g} s ({error.why})") from error
                await asyncio.sleep(pause)

    async def _try(self, event: JsonObject, within: float) -> Receipt:
        """One try, ended in time even where connecting and answering are slow one after the other."""
        try:
            async with asyncio.timeout(within):
                return await self._transport.send(event, within)
        except TimeoutError as error:
            raise TryAgainError("no answer in time") from error

    async def _deliver_some_time(self, event: JsonObject) -> None:
        await self._deliver(event, float("inf"))


def transport_to(url: str, token: Token) -> Transport:
    """The way that a URL names. Raises ProducerError for any other."""
    scheme = url.partition("://")[0]
    if scheme in {"http", "https"}:
        return HttpTransport(url, token)
    if scheme in {"nats", "tls"}:
        return NatsTransport(url, token)
    raise ProducerError(f"a producer's URL begins with http://, https://, nats:// or tls://, not {scheme!r}")
