"""When many senders wait for a commit, the consumers beside the keeper wait until it is made and told."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager

import pytest

from consumers._time_slices import TimeSlices
from deploy.local.server import Server
from tests.support.eventually import eventually
from tests.support.running_keeper import Bus, a_bus, submitted


class Noted(TimeSlices):
    """Counts how often slices were held back for a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.times = 0

    @contextmanager
    def held(self, *, at_once: bool) -> Iterator[None]:
        self.times += at_once
        with super().held(at_once=at_once):
            yield


@pytest.fixture
async def bus(module_nats_server: Server, database_url: str) -> AsyncGenerator[Bus]:
    async with a_bus(module_nats_server.url, database_url) as bus:
        yield bus


@pytest.mark.parametrize(("senders", "times"), [(32, 1), (4, 0)])
async def test_a_crowd_is_let_pass_first_and_a_few_are_not(bus: Bus, senders: int, times: int) -> None:
    for sent in await bus.publisher.send_all([submitted(f"task {number}") for number in range(senders)]):
        await sent
    slices = Noted()
    await bus.keeper(slices=slices)
    await bus.folded()
    assert slices.times == times


async def test_a_crowd_that_comes_during_the_write_ahead_of_it_is_let_pass(bus: Bus) -> None:
    slices = TimeSlices()
    led = await bus.keeper(slices=slices)
    await eventually(lambda: led.leads)
    await bus.submit()
    await bus.folded()
    assert not slices._crowd()

    async def is_writing() -> bool:
        return bool(await bus.database.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))

    async with bus.database.transaction():
        await bus.database.execute("SELECT FROM keeper FOR UPDATE")
        await bus.submit("the batch ahead")
        await eventually(is_writing)
        for sent in await bus.publisher.send_all([submitted(f"task {number}") for number in range(32)]):
            await sent
        await eventually(slices._crowd)
    await bus.folded()
    assert not slices._crowd()
