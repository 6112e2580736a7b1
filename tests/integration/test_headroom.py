"""What the keeper purges from a nearly full log, on a real stream: never what somebody may still have to read."""

from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest

from consumers.keeper.headroom import Headroom
from deploy.local.server import Server
from events import RunStarted, TaskSubmitted
from events.streams import BUS, Durable
from producers.topology import consumer_config
from tests.support.running_keeper import Bus, a_bus

READER = Durable("probe", (TaskSubmitted,), ack_wait=30.0)
IDLE = Durable("idle", (RunStarted,), ack_wait=30.0)
TASKS = 20


@pytest.fixture
async def bus(module_nats_server: Server, database_url: str) -> AsyncGenerator[Bus]:
    async with a_bus(module_nats_server.url, database_url) as bus:
        yield bus


async def nearly_full(bus: Bus, *readers: Durable) -> int:
    """Some tasks in a log that is full of them and has these readers only; where it ends."""
    js = bus.client.jetstream()
    for info in await js.consumers_info(BUS.name):
        await js.delete_consumer(BUS.name, info.name)
    for reader in readers:
        await js.add_consumer(BUS.name, consumer_config(reader))
    for number in range(TASKS):
        await bus.submit(f"Task {number}")
    return await limited(bus)


async def limited(bus: Bus) -> int:
    """Let the log hold hardly more than it does; where it ends."""
    js = bus.client.jetstream()
    log = await js.stream_info(BUS.name)
    await js.update_stream(replace(log.config, max_bytes=int(log.state.bytes / 0.95)))
    return log.state.last_seq


async def begins(bus: Bus) -> int:
    return (await bus.client.jetstream().stream_info(BUS.name)).state.first_seq


async def test_what_came_after_the_look_before_is_not_purged_though_nobody_counts_it_as_pending(bus: Bus) -> None:
    last = await nearly_full(bus, IDLE)
    room = Headroom(bus.client)
    await room.look(last)
    assert await begins(bus) == 1
    await room.look(last)
    assert await begins(bus) == last + 1


async def test_what_a_consumer_has_not_acknowledged_and_what_is_not_committed_stays(bus: Bus) -> None:
    last = await nearly_full(bus, READER, IDLE)
    reader = await bus.client.jetstream().pull_subscribe_bind(READER.name, BUS.name)
    messages = await reader.fetch(12)
    for message in messages[:8]:
        await message.ack_sync()
    room = Headroom(bus.client)
    await room.look(last)
    await room.look(5)
    assert await begins(bus) == 6
    await limited(bus)
    await room.look(last)
    assert await begins(bus) == 9
