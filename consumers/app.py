"""The consumers there are, and the process that runs some or all of them.

A new consumer is an event class, a file here, its test, and one line in `CONSUMERS`.
"""

import asyncio
import gc
from collections.abc import Callable, Coroutine, Iterable

import structlog
from faststream import AckPolicy, FastStream
from faststream.nats import JStream, NatsBroker, NatsMessage, PullSub

from consumers import keeper, reflex, router, runner
from consumers._runtime import Consumer, Flow, Resources, Service, Slots, Worker, run_slots
from events.streams import BUS
from producers.connect import BusSettings, Connection, connect_options
from producers.publisher import Publisher
from storage.database import DatabaseSettings
from storage.lookup import PostgresLookup

log = structlog.get_logger()

CONSUMERS: dict[str, Callable[[Resources], Consumer]] = {
    "keeper": keeper.build,
    "reflex": reflex.build,
    "router": router.build,
    "runner": runner.build,
}


async def run(names: Iterable[str]) -> None:
    """Run the named consumers in this process until SIGTERM or SIGINT, then finish what is in hand."""
    bus, database = BusSettings(), DatabaseSettings()
    connection = Connection(bus, "consumers")
    async with connection as client, Publisher(client) as publisher, PostgresLookup(database) as lookup:
        resources = Resources(client, publisher, lookup, database)
        broker = NatsBroker(
            bus.url,
            logger=None,
            apply_types=False,
            graceful_timeout=10.0,
            **connect_options("reactors", connection.end_process),  # type: ignore[arg-type]  # a wait below 1 s works
        )
        async with asyncio.TaskGroup() as group:
            loops: list[asyncio.Task[None]] = []
            for name in names:
                beside = await _start(CONSUMERS[name](resources), resources, broker)
                if beside is not None:
                    loops.append(group.create_task(beside))
            gc.collect()
            gc.freeze()
            log.info("consumers_started", consumers=sorted(names))
            await FastStream(broker, logger=None).run()
            for loop in loops:
                loop.cancel()


async def _start(consumer: Consumer, resources: Resources, broker: NatsBroker) -> Coroutine[None, None, None] | None:
    """Register a consumer with the broker, or give back the loop that has to run beside it."""
    match consumer:
        case Service():
            return consumer.run()
        case Flow():
            _subscribe(broker, consumer, Worker(consumer, resources.publisher))
            return None
        case Slots():
            await consumer.start()
            worker = Worker(consumer, resources.publisher)
            return run_slots(resources.client.jetstream(), worker, consumer.durable)


def _subscribe(broker: NatsBroker, flow: Flow, worker: Worker) -> None:
    durable = flow.durable
    subscriber = broker.subscriber(
        durable.filters[0],
        stream=JStream(BUS.name, declare=False),
        durable=durable.name,
        pull_sub=PullSub(batch_size=256, timeout=5.0),
        ack_policy=AckPolicy.MANUAL,
        decoder=_as_it_is,
    )

    @subscriber
    async def handle(message: NatsMessage) -> None:
        await worker.process(message.raw_message)


async def _as_it_is(message: NatsMessage) -> NatsMessage:
    return message
