"""The runtime between a consumer and the bus: decode, run, stamp, publish, settle (DESIGN 4).

A consumer is a function from one event to the events it leads to and knows nothing of what is in here. Two modes:
*flow* for quick pure functions, many messages in flight; *slots* for slow work, a free slot before each message.
Messages are settled by hand: acknowledged after their outputs are, put back with a delay after a passing failure,
ended with a dead letter after a permanent one. `_feed.py` brings the messages.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from prometheus_client import Counter
from structlog.contextvars import bound_contextvars

from consumers._dead_letter import DeadLetters
from consumers._gathering import Gathering
from consumers._pause import Pause
from consumers._suspects import deliveries_of, place_of
from consumers._time_slices import TimeSlices
from events.base import MAX_HOPS, Event, EventData
from events.codec import decode
from events.errors import GanglionError, PermanentError, TransientError
from events.run import RunEvent
from events.streams import Durable
from events.task import TaskControl
from events.trace import trace_id
from producers.publisher import Ack, Publisher
from storage.database import DatabaseSettings
from storage.lookup import Lookup

log = structlog.get_logger()

Output = EventData | Event[EventData]
"""A payload, which becomes an effect of the input; or an event that is stamped: an effect on something else."""
FlowHandler = Callable[[Event[EventData]], Awaitable[Sequence[Output]]]
BatchHandler = Callable[[Sequence[Event[EventData]]], Awaitable[Sequence[Sequence[Output]]]]
"""The same for several events at once, in their order; if it fails, the events are handled one by one."""
StillOurs = Callable[[Msg], Awaitable[bool]]
"""Whether a message may be settled: its numbers are not those of another one by now."""
SlotHandler = Callable[[Event[EventData]], AsyncIterator[EventData]]

_SETTLED = Counter("ganglion_consumer_settled_total", "Messages settled, by outcome.", ["consumer", "outcome"])
_OUTCOMES = ("done", "delayed", "dead", "void")


class UndeclaredOutputError(PermanentError):
    """A consumer publishes its durable's `outputs` and nothing else: its NATS user has no right to more."""

    code = "undeclared_output"


class LoopDetectedError(PermanentError):
    """More events led to one another than any honest course of work needs."""

    code = "loop_detected"


@dataclass(frozen=True, slots=True)
class Resources:
    """What a consumer may be built from."""

    client: Client
    publisher: Publisher
    lookup: Lookup
    database: DatabaseSettings
    slices: TimeSlices


@dataclass(frozen=True, slots=True)
class Flow:
    """A quick, pure consumer: outputs are derived from the input, so a repeat publishes the same ids.

    `batch` handles what comes together in one go; `start` is awaited before the first event.
    """

    durable: Durable
    handler: FlowHandler
    batch: BatchHandler | None = None
    start: Callable[[], Awaitable[None]] | None = None


@dataclass(frozen=True, slots=True)
class Slots:
    """A slow consumer: its outputs are published as they come. They derive from the execution they name."""

    durable: Durable
    handler: SlotHandler
    start: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Service:
    """A consumer that reads and settles by itself: `run` until cancelled."""

    run: Callable[[], Coroutine[None, None, None]]


Consumer = Flow | Slots | Service

_Sent = tuple[list[asyncio.Future[Ack]], Exception | None]
_Begun = tuple[Msg, Event[EventData] | None, list[Event[EventData]], Exception | None]


class Worker:
    """Runs one consumer: every message ends acknowledged, delayed or dead, never forgotten.

    One whose durable was made anew meanwhile is left alone: what settles it would settle another one.
    """

    def __init__(
        self, client: Client, durable: Durable, publisher: Publisher, pause: Pause, still_ours: StillOurs
    ) -> None:
        self._durable = durable
        self._publisher = publisher
        self._pause = pause
        self._still_ours = still_ours
        self._dead = DeadLetters(client, publisher, self._durable.name)
        self._may_say = frozenset((*durable.outputs, TaskControl))
        self.source = f"/consumers/{self._durable.name}"
        self._settled = {outcome: _SETTLED.labels(durable.name, outcome) for outcome in _OUTCOMES}

    async def flow(self, handler: FlowHandler, messages: Sequence[Msg], *, batch: BatchHandler | None = None) -> None:
        """Process a batch of quick work: all outputs are written, then all are acknowledged, then all inputs."""
        begun = await self._run_batch(batch, messages) if batch is not None and len(messages) > 1 else None
        if begun is None:
            begun = [await self._run_flow(handler, message) for message in messages]
        sent = await self._send([outputs for _, _, outputs, _ in begun])
        for (message, event, _, failure), (waiting, unsent) in zip(begun, sent, strict=True):
            await self._settle(message, event, waiting, failure or unsent)

    async def slot(self, handler: SlotHandler, message: Msg) -> None:
        """Process one piece of slow work: outputs are written as they come, or what comes at once together."""
        event = None
        waiting: list[asyncio.Future[Ack]] = []
        failure: Exception | None = None
        said = Gathering(self._publisher)
        try:
            event = decode(message.data, message.headers)
            _refuse_loop(event)
            with bound_contextvars(consumer=self._durable.name, **_ids_of(event)):
                async for output in handler(event):
                    await said.add(self._stamp(event, output, said.count))
        except Exception as error:  # noqa: BLE001  # whatever a handler raises, the message is settled
            failure = error
        finally:
            said.stop()
        try:
            waiting = await said.end()
        except Exception as error:  # noqa: BLE001  # as above
            failure = failure or error
        await self._settle(message, event, waiting, failure)

    async def _send(self, batch: Sequence[list[Event[EventData]]]) -> list[_Sent]:
        """Write all outputs together; if that fails, message by message: one bad output costs nobody else."""
        try:
            futures = iter(await self._publisher.send_all([output for outputs in batch for output in outputs]))
        except GanglionError:
            return [await self._send_one(outputs) for outputs in batch]
        return [([next(futures) for _ in outputs], None) for outputs in batch]

    async def _send_one(self, outputs: list[Event[EventData]]) -> _Sent:
        try:
            return await self._publisher.send_all(outputs), None
        except GanglionError as failure:
            return [], failure

    async def _run_batch(self, handler: BatchHandler, messages: Sequence[Msg]) -> list[_Begun] | None:
        """Decode and run all of them together; None if one of them spoils it: it costs nobody else."""
        events: list[Event[EventData]] = []
        try:
            events += [decode(message.data, message.headers) for message in messages]
            for event in events:
                _refuse_loop(event)
            outputs = await handler(events)
            return [
                (message, event, [self._stamp(event, output, i) for i, output in enumerate(given)], None)
                for message, event, given in zip(messages, events, outputs, strict=True)
            ]
        except TransientError as failure:
            return [(message, event, [], failure) for message, event in zip(messages, events, strict=True)]
        except Exception as failure:  # noqa: BLE001  # whatever it raises comes again with the event it is about
            log.info("batch_failed", consumer=self._durable.name, error=type(failure).__name__, events=len(messages))
            return None

    async def _run_flow(self, handler: FlowHandler, message: Msg) -> _Begun:
        """Decode and run the handler; what went wrong is for `_settle` to judge."""
        event = None
        try:
            event = decode(message.data, message.headers)
            _refuse_loop(event)
            outputs = await handler(event)
            return message, event, [self._stamp(event, output, i) for i, output in enumerate(outputs)], None
        except Exception as failure:  # noqa: BLE001  # whatever a handler raises, the message is settled
            return message, event, [], failure

    def _stamp(self, cause: Event[EventData], output: Output, index: int) -> Event[EventData]:
        data = output.data if isinstance(output, Event) else output
        if type(data) not in self._may_say:
            raise UndeclaredOutputError(f"{data.event_type} is not an output of {self._durable.name}")
        if isinstance(output, Event):
            return output
        if not isinstance(data, RunEvent):
            return cause.caused(data, source=self.source, index=index)
        place = index if data.ordinal is None else data.ordinal
        return cause.caused(data, source=self.source, index=place, seed=str(data.execution_id))

    async def _settle(
        self,
        message: Msg,
        event: Event[EventData] | None,
        waiting: Sequence[asyncio.Future[Ack]],
        failure: Exception | None,
    ) -> None:
        """Acknowledge once every output is acknowledged, else put back or bury; never raises."""
        try:
            for future in waiting if failure is None else ():
                await future
        except (NatsError, GanglionError) as error:
            failure = error
        if not await self._still_ours(message):
            log.info("settled_nothing", consumer=self._durable.name, place=place_of(message))
            self._settled["void"].inc()
            return
        self._pause.note(place_of(message), event, failure)
        try:
            self._settled[await self._end(message, event, failure)].inc()
        except (NatsError, GanglionError) as error:
            # Left unsettled on purpose: the server delivers it again after ack_wait.
            log.warning("settle_failed", consumer=self._durable.name, error=type(error).__name__)

    async def _end(self, message: Msg, event: Event[EventData] | None, failure: Exception | None) -> str:
        if failure is not None:
            return await self._give_up(message, event, failure)
        await message.ack()
        return "done"

    async def _give_up(self, message: Msg, event: Event[EventData] | None, failure: Exception) -> str:
        """Try again after the durable's next delay; bury what cannot succeed or was tried often enough."""
        deliveries = deliveries_of(message)
        code = failure.code if isinstance(failure, GanglionError) else type(failure).__name__
        unforeseen = None if isinstance(failure, GanglionError) else failure
        what = {"consumer": self._durable.name, "code": code, "delivery": deliveries, "seq": place_of(message)}
        log.warning("consumer_failed", **what, **_ids_of(event), exc_info=unforeseen)
        if isinstance(failure, PermanentError) or deliveries >= self._durable.max_deliver:
            await self._dead.bury(
                subject=message.subject,
                body=message.data,
                headers=message.headers,
                event=event,
                seq=place_of(message),
                deliveries=deliveries,
                reason=code,
            )
            if await self._still_ours(message):
                await message.term()
            return "dead"
        delays = self._durable.retry
        await message.nak(delay=delays[min(deliveries, len(delays)) - 1])
        return "delayed"


def _ids_of(event: Event[EventData] | None) -> dict[str, str]:
    """What a log line names an event by: by these it is found in histories and traces, and nothing that it says."""
    if event is None:
        return {}
    ids = {"event_id": event.id, "task_id": event.taskid, "trace_id": trace_id(event.traceparent)}
    return {name: str(value) for name, value in ids.items() if value is not None}


def _refuse_loop(event: Event[EventData]) -> None:
    """Hops are counted by `Event.caused`; the keeper ends the task, if there is one."""
    if event.hopcount > MAX_HOPS:
        raise LoopDetectedError
