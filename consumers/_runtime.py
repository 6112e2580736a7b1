"""The runtime between a consumer and the bus: decode, run, stamp, publish, settle (DESIGN 4).

A consumer is a function from one event to the events it leads to and knows nothing of what is in here. Two modes:
*flow* for quick pure functions, many messages in flight; *slots* for slow work, one free slot before each message.
Messages are settled by hand: acknowledged after their outputs are, put back with a delay after a passing failure,
ended with a dead letter after a permanent one.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from prometheus_client import Counter, Histogram

from consumers._dead_letter import DeadLetters
from events.base import Event, EventData
from events.codec import decode
from events.errors import GanglionError, PermanentError
from events.streams import BUS, Durable
from producers.publisher import Ack, Publisher
from storage.database import DatabaseSettings
from storage.lookup import Lookup

log = structlog.get_logger()

FlowHandler = Callable[[Event[EventData]], Awaitable[Sequence[EventData]]]
SlotHandler = Callable[[Event[EventData]], AsyncIterator[EventData]]

_SETTLED = Counter("ganglion_consumer_settled_total", "Messages settled, by outcome.", ["consumer", "outcome"])
_SECONDS = Histogram("ganglion_consumer_seconds", "From delivery to settlement.", ["consumer"])
_FETCH_WAIT = 5.0


@dataclass(frozen=True, slots=True)
class Resources:
    """What a consumer may be built from."""

    client: Client
    publisher: Publisher
    lookup: Lookup
    database: DatabaseSettings


@dataclass(frozen=True, slots=True)
class Flow:
    """A quick, pure consumer: outputs are derived from the input, so a repeat publishes the same ids."""

    durable: Durable
    handler: FlowHandler


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


class Worker:
    """Runs one consumer: every message ends acknowledged, delayed or dead, never forgotten."""

    def __init__(self, consumer: Flow | Slots, publisher: Publisher) -> None:
        self._consumer = consumer
        self._durable = consumer.durable
        self._publisher = publisher
        self._dead = DeadLetters(publisher, self._durable.name)
        self.source = f"/consumers/{self._durable.name}"

    async def process(self, message: Msg) -> None:
        """Take one message to its settlement; only cancellation passes through, and leaves it to be redelivered."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            outcome = await self._attempt(message)
        except (NatsError, OSError, GanglionError) as error:
            log.warning("settle_failed", consumer=self._durable.name, error=type(error).__name__)
            outcome = "unsettled"
        _SETTLED.labels(self._durable.name, outcome).inc()
        _SECONDS.labels(self._durable.name).observe(loop.time() - began)

    async def _attempt(self, message: Msg) -> str:
        event = None
        try:
            event = decode(message.data, message.headers)
            await self._run(event)
        except PermanentError as error:
            await self._dead.bury(message, event, error.code)
            await message.term()
            return "dead"
        except Exception as error:  # noqa: BLE001  # whatever a handler raises, the message is settled
            return await self._put_back(message, event, error)
        await message.ack()
        return "done"

    async def _run(self, event: Event[EventData]) -> None:
        if isinstance(self._consumer, Flow):
            outputs = await self._consumer.handler(event)
            await _all([await self._publisher.send(self._stamp(event, out, i)) for i, out in enumerate(outputs)])
            return
        waiting: list[asyncio.Future[Ack]] = []
        index = 0
        async for output in self._consumer.handler(event):
            waiting.append(await self._publisher.send(self._stamp(event, output, index)))
            index += 1
        await _all(waiting)

    def _stamp(self, cause: Event[EventData], data: EventData, index: int) -> Event[EventData]:
        execution = getattr(data, "execution_id", None)
        return cause.caused(data, source=self.source, index=index, seed=str(execution) if execution else None)

    async def _put_back(self, message: Msg, event: Event[EventData] | None, error: Exception) -> str:
        """Try again after the durable's next delay, or give up on the last delivery."""
        deliveries = message.metadata.num_delivered
        code = error.code if isinstance(error, GanglionError) else type(error).__name__
        log.warning("consumer_failed", consumer=self._durable.name, code=code, delivery=deliveries, exc_info=error)
        if deliveries >= self._durable.max_deliver:
            await self._dead.bury(message, event, code)
            await message.term()
            return "dead"
        delays = self._durable.retry
        await message.nak(delay=delays[min(deliveries, len(delays)) - 1])
        return "delayed"


async def _all(waiting: Sequence[asyncio.Future[Ack]]) -> None:
    for future in waiting:
        await future


async def run_slots(js: JetStreamContext, worker: Worker, durable: Durable) -> None:
    """Feed a slots consumer: free slots first, then as many messages, each kept alive until it is settled."""
    subscription = await js.pull_subscribe_bind(durable.name, stream=BUS.name)
    free = asyncio.Semaphore(durable.slots)
    running: set[asyncio.Task[None]] = set()
    try:
        while True:
            taken = await _take_free(free)
            messages = await _fetch(subscription, taken)
            for _ in range(taken - len(messages)):
                free.release()
            for message in messages:
                task = asyncio.create_task(_keep_alive(worker, message, durable.ack_wait / 3))
                running.add(task)
                task.add_done_callback(running.discard)
                task.add_done_callback(lambda _: free.release())
    finally:
        for task in running:
            task.cancel()


async def _take_free(free: asyncio.Semaphore) -> int:
    """Wait for one slot and take all that are free with it."""
    await free.acquire()
    taken = 1
    while not free.locked():
        await free.acquire()
        taken += 1
    return taken


async def _fetch(subscription: JetStreamContext.PullSubscription, count: int) -> list[Msg]:
    try:
        return await subscription.fetch(count, timeout=_FETCH_WAIT)
    except (NatsError, TimeoutError) as error:
        if not isinstance(error, TimeoutError):
            log.warning("fetch_failed", error=type(error).__name__)
            await asyncio.sleep(0.2)
        return []


async def _keep_alive(worker: Worker, message: Msg, every: float) -> None:
    """Tell the server that the work goes on, so that nobody else starts it too."""
    beat = asyncio.create_task(_beat(message, every))
    try:
        await worker.process(message)
    finally:
        beat.cancel()


async def _beat(message: Msg, every: float) -> None:
    while True:
        await asyncio.sleep(every)
        try:
            await message.in_progress()
        except NatsError as error:
            log.debug("heartbeat_failed", error=type(error).__name__)
