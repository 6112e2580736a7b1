"""Token buckets without a server: the tiers of the first document (requirements 000.3)."""

import math

import pytest

from storage.limits import TIERS, Limit, Limiter


def test_the_tiers_are_the_documents() -> None:
    assert {name: (limit.per_hour, limit.burst) for name, limit in TIERS.items()} == {
        "free": (100, 10),
        "basic": (1_000, 50),
        "pro": (10_000, 100),
        "enterprise": (100_000, 500),
        "unlimited": (math.inf, 1),
    }


async def test_who_takes_more_than_its_burst_waits_for_a_token_and_a_tenth_of_a_second() -> None:
    limiter, limit = Limiter(), Limit(per_hour=3_600, burst=3)
    assert [await limiter.take("ida", limit) for _ in range(3)] == [0.0] * 3
    assert await limiter.take("ida", limit) == pytest.approx(1.1, abs=0.05)
    assert await limiter.take("hal", limit) == 0.0
