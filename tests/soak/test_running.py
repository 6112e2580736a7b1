"""What runs beside a soak ends with it, or it is said who does not."""

import asyncio

import pytest

from tests.soak.run import ended, running
from tests.support.promises import OutOfPatienceError


async def deaf(times: int) -> None:
    """Forgets so many cancellations, as `asyncio.wait_for` of Python 3.11 does with one beside an answer."""
    for _ in range(times):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue
    await asyncio.Event().wait()


async def test_what_forgets_a_cancellation_ends_all_the_same() -> None:
    async with asyncio.timeout(20):
        async with running(deaf(1)):
            await asyncio.sleep(0)


async def test_what_does_not_end_is_named_with_the_place_where_it_hangs() -> None:
    task = asyncio.create_task(deaf(1_000))
    await asyncio.sleep(0)
    with pytest.raises(OutOfPatienceError, match=r"deaf.* was cancelled and goes on:[^$]*await asyncio.Event") as told:
        await ended(task, within=0.0)
    assert "test_running.py" in str(told.value)
    while not task.done():
        task.cancel()
        await asyncio.sleep(0)


async def test_a_failure_beside_the_block_shows_at_its_end() -> None:
    async def fails() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        async with running(fails()):
            await asyncio.sleep(0)
