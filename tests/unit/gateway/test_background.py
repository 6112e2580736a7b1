"""What runs beside the requests ends when the process does, though one of its parts does not hear it at first."""

import asyncio

import pytest

from gateway.background import running


async def test_a_part_that_swallows_a_cancellation_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.background._CANCEL_AGAIN", 0.01)
    swallowed = 0

    async def deaf() -> None:
        nonlocal swallowed
        while swallowed < 2:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                swallowed += 1
        await asyncio.Event().wait()

    async with asyncio.timeout(5), running([deaf()]):
        await asyncio.sleep(0)
    assert swallowed == 2
