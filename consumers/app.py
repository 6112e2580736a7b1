"""The consumers there are, and the process that runs some or all of them.

A new consumer is an event class, a file here, its test, and one line in `CONSUMERS`.

FastStream owns the process: connections, signals, start and stop. The messages come through our own standing pulls
(docs/adr/0007): FastStream's dispatch took a sixth to a third of this process's CPU under load. Each consumer has a
connection of its own, as the NATS user of its name, which may do what that consumer does and no more.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace

import structlog
from faststream import FastStream
from faststream.nats import NatsBroker
from faststream.nats.security import NatsUserPassword
from nats.aio.client import ErrorCallback

from consumers import (
    dispatch,
    engine_cleanup,
    keeper,
    planner,
    proposals,
    push,
    reflex,
    router,
    runner,
    spec_engine,
    undertaker,
)
from consumers._feed import Feed
from consumers._guard import Known, OutputGuard
from consumers._runtime import Consumer, Resources, Service, Slots
from consumers._time_slices import TimeSlices
from events.process import settle_memory
from events.run import RunEvent
from producers.client import BusClient
from producers.connect import BusSettings, ClosedGuard, connect_options
from producers.publisher import Publisher
from screening.outgoing import Outgoing
from screening.settings import ScreeningSettings
from storage.database import DatabaseSettings
from storage.lookup import PostgresLookup

log = structlog.get_logger()

GRACE = 10.0

CONSUMERS: dict[str, Callable[[Resources], Consumer]] = {
    "engine_cleanup": engine_cleanup.build,
    "dispatch": dispatch.build,
    "keeper": keeper.build,
    "planner": planner.build,
    "proposals": proposals.build,
    "push": push.build,
    "reflex": reflex.build,
    "router": router.build,
    "runner": runner.build,
    "spec_engine": spec_engine.build,
    "undertaker": undertaker.build,
}


class _Broker(NatsBroker):
    """FastStream's, but with our client, and it tries again whatever a server said when it came back.

    FastStream raises on "authorization timeout", "stale connection" and the like inside nats-py's own reconnecting,
    which ends that for good and says nothing: a consumer would stand still beside a healthy cluster.
    """

    def _log_connection_broken(self, error_cb: ErrorCallback | None = None) -> ErrorCallback:
        return error_cb or super()._log_connection_broken(error_cb)

    async def _connect(self) -> BusClient:
        client = BusClient()
        await client.connect(**self._connection_kwargs)
        self.config.connect(client)
        return client


class ConsumerProcess:
    """Runs the named consumers until SIGTERM or SIGINT, then finishes what is in hand, at most ten seconds."""

    def __init__(self, names: Sequence[str], bus: BusSettings, database: DatabaseSettings) -> None:
        self._names = names
        self._database = database
        self._atomic = bus.synced_always
        self._guard = ClosedGuard()
        self._brokers = {name: self._broker(name, bus) for name in names}
        self._app = FastStream(
            *self._brokers.values(), logger=None, after_startup=[self._start], on_shutdown=[self._stop]
        )
        self._opened = AsyncExitStack()
        self._feeds: list[Feed] = []
        self._slices = TimeSlices()
        self._services: list[asyncio.Task[None]] = []
        self._loops: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None

    async def run(self) -> None:
        """Run; raises what a consumer died of, if one did."""
        await self._app.run()
        if self._failure is not None:
            raise self._failure

    def _broker(self, name: str, bus: BusSettings) -> _Broker:
        servers, credentials = bus.way_for(name)
        return _Broker(
            servers,
            security=NatsUserPassword(*credentials) if credentials else None,
            logger=None,
            apply_types=False,
            **connect_options(name, self._guard),  # type: ignore[arg-type]  # a wait below 1 s works
        )

    async def _start(self) -> None:
        lookup = await self._opened.enter_async_context(PostgresLookup(self._database))
        for name, broker in self._brokers.items():
            client = await broker.connect()
            publisher = await self._opened.enter_async_context(Publisher(client, atomic=self._atomic))
            resources = Resources(client, publisher, lookup, self._database, self._slices)
            await self._start_one(name, _guarded(CONSUMERS[name](resources), lookup.placeholders), resources)
        settle_memory()
        log.info("consumers_started", consumers=sorted(self._names))

    async def _start_one(self, name: str, consumer: Consumer, resources: Resources) -> None:
        if isinstance(consumer, Service):
            self._services.append(self._run_beside(name, consumer.run()))
            return
        if consumer.start is not None:
            await consumer.start()
        feed = Feed(resources.client, resources.publisher, consumer, slices=resources.slices)
        self._feeds.append(feed)
        self._run_beside(name, feed.run())

    def _run_beside(self, name: str, loop: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(loop, name=name)
        self._loops.add(task)
        task.add_done_callback(self._on_loop_done)
        return task

    def _on_loop_done(self, task: asyncio.Task[None]) -> None:
        """A consumer never ends by itself: if one does, the process ends with it and is started anew."""
        self._loops.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            log.error("consumer_died", consumer=task.get_name(), exc_info=failure)
            self._failure = failure
            self._app.exit()

    async def _stop(self) -> None:
        self._guard.expected = True
        for feed in self._feeds:
            feed.stop()
        for task in self._services:
            task.cancel()
        if self._loops:
            _, late = await asyncio.wait(self._loops, timeout=GRACE)
            for task in late:
                task.cancel()
        await self._opened.aclose()


def _guarded(consumer: Consumer, known: Known) -> Consumer:
    """What agents bring back is screened before it is published, whichever consumer they run in."""
    if isinstance(consumer, Slots) and any(issubclass(output, RunEvent) for output in consumer.durable.outputs):
        settings = ScreeningSettings()
        guard = OutputGuard(Outgoing(settings.screener(), settings.sealer()), known)
        return replace(consumer, handler=guard.around(consumer.handler))
    return consumer
