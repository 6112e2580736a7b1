"""A keeper that is told to end ends, also when the word gets lost on the way."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Coroutine

import pytest

from consumers.keeper.lease import Lease
from deploy.local.server import Server
from producers.reader import Reader
from storage.keeper import KeeperStore
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


class Swallowing:
    """A call that loses the cancellation that comes while it waits for its answer."""

    def __init__(self, answer: Callable[[], Coroutine[None, None, None]]) -> None:
        self._answer = answer
        self.waits = asyncio.Event()

    async def __call__(self) -> None:
        if not self.waits.is_set():
            self.waits.set()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
        await self._answer()


async def _nothing() -> None:
    """As a lease that somebody else has."""


async def _fails() -> None:
    raise TimeoutError


async def _ends(work: Coroutine[None, None, object], call: Swallowing) -> None:
    task = asyncio.create_task(work)
    async with asyncio.timeout(10):
        await call.waits.wait()
        task.cancel()
        await asyncio.wait({task}, timeout=5)
        ended = task.done()
        while not task.done():
            task.cancel()
            await asyncio.sleep(0)
    assert ended


async def test_who_stands_by_for_the_lease_ends_though_the_word_gets_lost(bus: Bus) -> None:
    store = await KeeperStore.connect(bus.database_url, "keeper")
    acquire = store.acquire = Swallowing(_nothing)  # type: ignore[method-assign]  # as above
    await _ends(Lease(store).taken(lambda: True), acquire)
    await store.close()


@pytest.mark.parametrize("how", ["fails", "succeeds"])
async def test_a_reader_that_starts_over_ends_though_the_word_gets_lost(bus: Bus, how: str) -> None:
    async with Reader(bus.client, "BUS", 1) as reader:
        opening = Swallowing(_fails if how == "fails" else reader._open)
        reader._open = opening  # type: ignore[method-assign]  # as above
        reader._pull.lose()
        await _ends(reader.batch(), opening)
