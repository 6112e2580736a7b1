"""Ten thousand raw frames, many of them wrong: nothing crashes, and each wrong is answered with its close code."""

import asyncio
import gc
import logging
import os
import random
from collections import Counter

import pytest

from bench.processes import rss_mib
from tests.support.eventually import eventually
from tests.support.raw_frames import Attempt, attempt, play
from tests.support.running_gateway import RunningGateway, token

SEED = int(os.environ.get("GANGLION_TEST_SEED", random.randrange(2**32)))
FRAMES = 10_000
AT_ONCE = 16
GROWTH = 32.0
"""MiB that the process, test and gateway in one, may grow by after a quarter of the frames."""


def memory() -> float:
    """What this process holds, in MiB."""
    gc.collect()
    return rss_mib({"it": os.getpid()})["it"]


async def test_ten_thousand_raw_frames_get_the_right_close_codes_and_crash_nothing(
    gateway: RunningGateway, caplog: pytest.LogCaptureFixture
) -> None:
    dice, bearer, sent = random.Random(SEED), token(), 0
    wrong: Counter[tuple[str, int]] = Counter()
    seen: Counter[str] = Counter()

    async def one(made: Attempt) -> None:
        code = await play(gateway.port, bearer, made)
        seen[made.what] += 1
        if code not in made.codes:
            wrong[made.what, code] += 1

    warm = 0.0
    with caplog.at_level(logging.ERROR):
        while sent < FRAMES:
            if not warm and sent > FRAMES / 4:
                warm = memory()
            batch = [attempt(dice) for _ in range(AT_ONCE)]
            sent += sum(len(made.frames) for made in batch)
            await asyncio.gather(*map(one, batch))
    assert not wrong, f"seed {SEED}: {dict(wrong)}"
    assert len(seen) == 19
    assert not [record for record in caplog.records if "ASGI" in record.message], f"seed {SEED}"
    await eventually(lambda: gateway.gateway.sockets.count == 0)
    assert memory() - warm < GROWTH, f"seed {SEED}"
    async with gateway.socket() as socket:
        await socket.send(type="subscribe", id="a", room="tasks")
        assert (await socket.until("subscribed"))[-1]["recovered"] is False
