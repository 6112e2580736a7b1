"""Messages under suspicion are run one at a time, and none of them takes the others' turns away."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import cast

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from consumers._suspects import Suspects


def message(seq: int, deliveries: int = 3) -> Msg:
    return Msg(cast("Client", None), "bus.t.x", f"$JS.ACK.BUS.probe.{deliveries}.{seq}.1.1.0")


def seq_of(given: Msg) -> int:
    return int(given.reply.split(".")[5])


@asynccontextmanager
async def running(work: Callable[[Msg], Awaitable[None]]) -> AsyncGenerator[Suspects]:
    suspects = Suspects(work)
    task = asyncio.create_task(suspects.run())
    try:
        yield suspects
    finally:
        task.cancel()
        await asyncio.wait({task}, timeout=2)
        assert task.cancelled()


@pytest.mark.parametrize("error", [asyncio.CancelledError, RuntimeError, OSError])
async def test_one_that_raises_what_nobody_foresaw_does_not_keep_the_others_waiting(error: type[BaseException]) -> None:
    done: list[int] = []
    all_done = asyncio.Event()

    async def work(given: Msg) -> None:
        done.append(seq_of(given))
        if len(done) == 3:
            all_done.set()
        if seq_of(given) == 1:
            raise error

    async with running(work) as suspects:
        for seq in (3, 1, 2):
            suspects.add(message(seq))
        async with asyncio.timeout(5):
            await all_done.wait()
    assert done == [1, 2, 3]


async def test_the_order_is_up_the_log_and_next_time_down() -> None:
    done: list[int] = []
    all_done = asyncio.Event()

    async def work(given: Msg) -> None:
        done.append(seq_of(given))
        if len(done) == 3:
            all_done.set()

    async with running(work) as suspects:
        for seq in (2, 1, 3):
            suspects.add(message(seq, deliveries=4))
        async with asyncio.timeout(5):
            await all_done.wait()
    assert done == [3, 2, 1]


async def test_who_stops_them_has_back_what_was_not_begun() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def work(_: Msg) -> None:
        begun.set()
        await go_on.wait()

    async with running(work) as suspects:
        for seq in (1, 2):
            suspects.add(message(seq))
        await begun.wait()
        stopping = asyncio.create_task(suspects.stop())
        await asyncio.sleep(0)
        assert not stopping.done()
        go_on.set()
        assert [seq_of(given) for given in await stopping] == [2]
