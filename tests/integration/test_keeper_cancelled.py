"""A keeper that is told to end ends, also when the word gets lost on the way."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine

import pytest

from deploy.local.server import Server
from tests.support.eventually import eventually
from tests.support.running_keeper import Bus, a_bus


@pytest.fixture
async def bus(module_nats_server: Server, database_url: str) -> AsyncGenerator[Bus]:
    async with a_bus(module_nats_server.url, database_url) as bus:
        yield bus


async def test_a_term_ends_though_each_of_its_loops_loses_a_cancellation(bus: Bus) -> None:
    """As Python 3.11's wait_for does when a result comes at the same moment."""
    led = await bus.keeper(sweep=True)
    await eventually(lambda: led.leads, within=15)
    term = led.keeper.term
    assert term is not None
    waiting: list[str] = []
    lost: list[str] = []

    def losing(name: str) -> Callable[..., Coroutine[None, None, None]]:
        async def wait(*_: object) -> None:
            waiting.append(name)
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                lost.append(name)

        return wait

    term._lease._store.renew = losing("renew")  # type: ignore[method-assign]  # each as if its answer came just then
    term._tell = losing("tell")  # type: ignore[method-assign]  # the same
    term._outbox._send = losing("send")  # type: ignore[method-assign]  # the same
    await eventually(lambda: set(waiting) == {"renew", "tell", "send"})
    async with asyncio.timeout(20):
        await led.stop()
    assert sorted(lost) == sorted(waiting)
