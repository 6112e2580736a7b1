"""A durable that was made anew, as after the loss of the log: what is in hand of the old one settles nothing of it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import pytest

from consumers._feed import Feed
from consumers._runtime import Slots
from deploy.local.server import Server
from events import Event, EventData, TaskChecked, TaskSubmitted
from events.errors import InvalidEventError
from events.streams import Durable
from producers.pull import Pull
from producers.topology import apply, consumer_config
from tests.support.eventually import eventually
from tests.support.promises import a_promise
from tests.support.running_keeper import Bus, a_bus, checked, connect

SLOTS = Durable("probe", (TaskSubmitted,), outputs=(TaskChecked,), ack_wait=30.0, slots=2)


@pytest.fixture
async def bus(module_nats_server: Server, database_url: str) -> AsyncGenerator[Bus]:
    async with a_bus(module_nats_server.url, database_url) as bus:
        yield bus


class Hands:
    """Slow work: that of old messages ends when it is told to, well or badly, that of new ones never."""

    def __init__(self, *, fails: bool = False) -> None:
        self.in_hand = 0
        self.go_on = asyncio.Event()
        self._fails = fails

    async def work(self, event: Event[EventData]) -> AsyncIterator[EventData]:
        assert isinstance(event.data, TaskSubmitted)
        self.in_hand += 1
        await (self.go_on if event.data.spec.prompt == "old" else asyncio.Event()).wait()
        if self._fails:
            raise InvalidEventError
        yield checked(event)

    async def start(self) -> None:
        """Nothing to start."""


@asynccontextmanager
async def holding(bus: Bus, hands: Hands, count: int) -> AsyncGenerator[Feed]:
    """A feed with so many old messages in hand."""
    await bus.client.jetstream().add_consumer("BUS", consumer_config(SLOTS))
    feed = Feed(bus.client, bus.publisher, Slots(SLOTS, hands.work, hands.start))
    running = asyncio.create_task(feed.run())
    try:
        for _ in range(count):
            await bus.submit("old")
        await eventually(lambda: hands.in_hand == count)
        yield feed
    finally:
        running.cancel()
        await asyncio.wait({running})


@asynccontextmanager
async def made_anew(bus: Bus) -> AsyncGenerator[None]:
    """Stream and durable again, with other messages under the same numbers, three of them in somebody else's hand."""
    await apply(bus.client)
    for _ in range(5):
        await bus.submit("new")
    other = await connect(bus.nats_url)
    bus.opened.push_async_callback(other.close)
    await bus.client.jetstream().add_consumer("BUS", consumer_config(SLOTS))
    async with Pull(other, "BUS", "probe", window=3) as pull:
        taken = 0
        while taken < 3 and await pull.some():
            taken += len(await pull.take())
        yield


async def none_is_settled(bus: Bus) -> None:
    with a_promise():
        info = await bus.client.jetstream().consumer_info("BUS", "probe")
        assert info.ack_floor is not None
        assert (info.num_ack_pending, info.ack_floor.stream_seq) == (5, 0)


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("count", [1, 2])
async def test_what_is_in_hand_of_a_durable_that_was_made_anew_settles_nothing_of_the_new_one(
    bus: Bus, count: int, *, fails: bool
) -> None:
    """With two the feed asks for nothing more, and is told nothing of its durable's end."""
    hands = Hands(fails=fails)
    async with holding(bus, hands, count):
        await bus.client.jetstream().delete_stream("BUS")
        async with made_anew(bus):
            hands.go_on.set()
            await eventually(lambda: hands.in_hand == count + 2)  # it has ended the old ones, and has two new ones
            await none_is_settled(bus)


async def test_nor_does_it_after_the_store_was_lost(bus: Bus, module_nats_server: Server) -> None:
    hands = Hands()
    async with holding(bus, hands, 2):
        await module_nats_server.kill()
        await module_nats_server.wipe()
        await module_nats_server.start()
        await eventually(lambda: bus.client.is_connected, within=15)
        async with made_anew(bus):
            hands.go_on.set()
            await eventually(lambda: hands.in_hand == 4, within=15)
            await none_is_settled(bus)


async def test_it_settles_what_is_in_hand_when_the_server_comes_back_with_its_store(
    bus: Bus, module_nats_server: Server
) -> None:
    hands = Hands()
    async with holding(bus, hands, 2):
        await module_nats_server.stop()
        await module_nats_server.start()
        await eventually(lambda: bus.client.is_connected, within=15)
        hands.go_on.set()
        await eventually(bus.settled, within=15)
    assert hands.in_hand == 2


async def test_it_settles_what_is_in_hand_when_it_is_told_to_stop(bus: Bus) -> None:
    hands = Hands()
    async with holding(bus, hands, 2) as feed:
        feed.stop()
        hands.go_on.set()
        await eventually(bus.settled, within=15)
