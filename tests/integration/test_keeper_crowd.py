"""When many senders wait for one commit, the consumers beside the keeper wait until it is made and told."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager

import pytest

from consumers._time_slices import TimeSlices
from deploy.local.server import Server
from tests.support.running_keeper import Bus, a_bus, submitted


class Noted(TimeSlices):
    """Counts how often slices were held back."""

    def __init__(self) -> None:
        super().__init__()
        self.times = 0

    @contextmanager
    def held(self) -> Iterator[None]:
        self.times += 1
        with super().held():
            yield


@pytest.fixture
async def bus(module_nats_server: Server, database_url: str) -> AsyncGenerator[Bus]:
    async with a_bus(module_nats_server.url, database_url) as bus:
        yield bus


async def test_a_crowd_is_let_pass_first(bus: Bus) -> None:
    for sent in await bus.publisher.send_all([submitted(f"task {number}") for number in range(32)]):
        await sent
    slices = Noted()
    await bus.keeper(slices=slices)
    await bus.folded()
    assert slices.times == 1


async def test_for_a_few_nobody_waits(bus: Bus) -> None:
    for sent in await bus.publisher.send_all([submitted(f"task {number}") for number in range(4)]):
        await sent
    slices = Noted()
    await bus.keeper(slices=slices)
    await bus.folded()
    assert slices.times == 0
