"""How long somebody would have paused, without doing so."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from unittest.mock import patch

_SHORT = 0.2
"""Seconds: who looks again that often waits for something, and pauses after nothing."""


@contextmanager
def pauses_skipped() -> Generator[list[float]]:
    """The seconds of each sleep from 0.2 s on, in their order; they take no time."""
    slept: list[float] = []
    sleep = asyncio.sleep

    async def skip(seconds: float, result: object = None) -> object:
        if seconds < _SHORT:
            return await sleep(seconds, result)
        slept.append(seconds)
        return await sleep(0, result)

    with patch("asyncio.sleep", skip):
        yield slept


def assert_full_jitter(slept: list[float], *, calls: int) -> None:
    """Two pauses a call, each anywhere from 1 to 5 s."""
    assert len(slept) == 2 * calls
    for one_of_two in (slept[::2], slept[1::2]):
        assert all(1.0 <= seconds <= 5.0 for seconds in one_of_two), one_of_two
        assert max(one_of_two) > 2.0, one_of_two
        assert len(set(one_of_two)) == calls
