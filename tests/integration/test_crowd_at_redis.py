"""Many who ask Redis at the same moment wait for each other; that is no reason to think that it is away."""

import asyncio
import itertools

from storage.limits import Limit, Limiter
from storage.verdicts import ExaminationStore
from tests.support.eventually import eventually

CROWD = 20
TEN = Limit(per_hour=1, burst=10)


async def test_a_crowd_gets_no_more_than_the_limit_allows(redis_url: str) -> None:
    numbers = itertools.count()

    async def ten_get_through() -> bool:
        """Tried again, for a Redis that is slow to let the first ones in may be taken to be away."""
        who = f"ann-{next(numbers)}"
        async with Limiter(redis_url) as limiter:
            waits = await asyncio.gather(*(limiter.take(who, TEN) for _ in range(CROWD)))
        assert sum(wait == 0.0 for wait in waits) == 10
        return True

    await eventually(ten_get_through, within=10)


async def test_a_crowd_finds_what_is_kept(redis_url: str) -> None:
    keys = [str(number) for number in range(CROWD)]

    async def all_find_theirs() -> bool:
        async with ExaminationStore(redis_url) as store:
            await asyncio.gather(*(store.put(key, key.encode(), 60) for key in keys))
            assert await asyncio.gather(*(store.get(key) for key in keys)) == [key.encode() for key in keys]
        return True

    await eventually(all_find_theirs, within=10)
