"""A worker that is stopped, or whose bus is killed: what it has in hand is finished, the rest is left to others."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence

import pytest

from consumers._feed import Feed
from consumers._runtime import Flow, Slots
from consumers._time_slices import TimeSlices
from deploy.local.server import Server
from events import Event, EventData
from producers.topology import consumer_config
from tests.integration.test_runtime import FLOW, SLOTS, Calls, fed, nothing, others
from tests.support.eventually import eventually
from tests.support.running_keeper import Bus, a_bus, checked


@pytest.fixture
async def bus(module_nats_server: Server, database_url: str) -> AsyncGenerator[Bus]:
    async with a_bus(module_nats_server.url, database_url) as bus:
        yield bus


async def test_stopping_finishes_what_is_in_hand_and_takes_no_more(bus: Bus) -> None:
    began, go_on = asyncio.Event(), asyncio.Event()

    async def work(event: Event[EventData]) -> AsyncIterator[EventData]:
        began.set()
        await go_on.wait()
        yield checked(event)

    await bus.client.jetstream().add_consumer("BUS", consumer_config(SLOTS))
    feed = Feed(bus.client, bus.publisher, Slots(SLOTS, work, nothing))
    running = asyncio.create_task(feed.run())
    await bus.submit("in hand")
    await began.wait()
    feed.stop()
    await bus.submit("too late")
    go_on.set()
    await asyncio.wait_for(running, 10)
    assert len(await others(bus)) == 1
    await eventually(lambda: _is_settled(bus))


async def _is_settled(bus: Bus) -> bool:
    """Whether the server has taken the acknowledgement in, and has given out nothing more."""
    return not (await bus.client.jetstream().consumer_info("BUS", "probe")).num_ack_pending


async def test_what_waits_for_its_turn_when_it_is_stopped_is_left_to_others(bus: Bus) -> None:
    calls = Calls()

    async def work(event: Event[EventData]) -> AsyncIterator[EventData]:
        calls.note(event)
        return
        yield

    others_first, slices = asyncio.Event(), TimeSlices()
    slices.next = others_first.wait  # type: ignore[method-assign,assignment]  # nobody wants to know that it was
    await bus.client.jetstream().add_consumer("BUS", consumer_config(SLOTS))
    feed = Feed(bus.client, bus.publisher, Slots(SLOTS, work, start=nothing), slices=slices)
    running = asyncio.create_task(feed.run())
    await bus.submit()
    await eventually(lambda: feed._pull is not None and feed._pull.waiting("submitted"))
    feed.stop()
    others_first.set()
    await asyncio.wait_for(running, 10)
    assert not calls.times
    async with fed(bus, Slots(SLOTS, work, start=nothing)):
        await eventually(lambda: calls.times)
        await eventually(bus.settled)


async def test_it_goes_on_after_the_bus_was_killed(bus: Bus, module_nats_server: Server) -> None:
    async def check(event: Event[EventData]) -> Sequence[EventData]:
        return [checked(event)]

    async with fed(bus, Flow(FLOW, check)):
        await bus.submit("before")
        await eventually(bus.settled, within=15)
        await module_nats_server.kill()
        await module_nats_server.start()
        await eventually(lambda: bus.client.is_connected, within=15)
        await bus.submit("after")
        await eventually(bus.settled, within=15)
    assert len(await others(bus)) == 2
