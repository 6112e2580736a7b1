"""The main path, simulated: fresh seeds. GANGLION_TEST_SEED repeats one, GANGLION_TEST_SEEDS says how many."""

import os
import random
from collections.abc import AsyncGenerator

import pytest
from redis.asyncio import Redis

from tests.simulation.run import simulate
from tests.support.promises import a_promise

SEED = os.environ.get("GANGLION_TEST_SEED")
COUNT = int(os.environ.get("GANGLION_TEST_SEEDS", "24"))


@pytest.fixture
async def redis(redis_url: str) -> AsyncGenerator[Redis]:
    async with Redis.from_url(redis_url) as redis:
        yield redis


@pytest.mark.timeout(900)
async def test_nothing_is_lost_or_doubled_in_whatever_order_things_happen_and_fail(
    redis: Redis, redis_url: str
) -> None:
    for seed in [int(SEED)] if SEED else [random.randrange(2**32) for _ in range(COUNT)]:
        report = await simulate(seed, redis, redis_url)
        with a_promise():
            assert not report.problems, f"GANGLION_TEST_SEED={seed} ({report.kind}) repeats it"


async def test_without_a_fault_nothing_is_forgotten_that_the_sweep_would_have_to_send_again(
    redis: Redis, redis_url: str
) -> None:
    for _ in range(5):
        report = await simulate(random.randrange(2**32), redis, redis_url, "calm")
        with a_promise():
            assert not report.problems, f"seed {report.seed}"


async def test_a_seed_tells_the_same_story_every_time(redis: Redis, redis_url: str) -> None:
    seed = random.randrange(2**32)
    stories: list[list[str]] = [[], []]
    for story in stories:
        await simulate(seed, redis, redis_url, tell=story.append)
    assert stories[0] == stories[1], f"seed {seed}"
    assert stories[0]
