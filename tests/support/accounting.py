"""The books of the keeper: every sequence up to its position is in the log, a repeat, or a gap, and only once.

An epoch of a log that had only lost its end goes on where that ended: what lies before is in the books already.
"""

from collections import Counter

import asyncpg

from tests.support.promises import a_promise

_PLACES = """
SELECT epoch, seq FROM event_log
UNION ALL SELECT epoch, seq FROM event_repeat
UNION ALL SELECT epoch, generate_series(first_seq, last_seq) FROM event_gap"""


async def assert_accounted(database_url: str) -> int:
    """Compare; returns how many sequences there are in all epochs."""
    database = await asyncpg.connect(database_url)
    try:
        async with database.transaction(isolation="repeatable_read", readonly=True):
            places = Counter((row["epoch"], row["seq"]) for row in await database.fetch(_PLACES))
            keeper = await database.fetchrow("SELECT epoch, position FROM keeper")
    finally:
        await database.close()
    twice = [place for place, times in places.items() if times > 1]
    with a_promise():
        assert not twice, f"counted twice: {twice[:10]}"
        assert keeper is not None
        before = 0
        for epoch in sorted({epoch for epoch, _ in places} | {keeper["epoch"]}):
            seen = {seq for other, seq in places if other == epoch}
            end = keeper["position"] if epoch == keeper["epoch"] else max(seen)
            first = min(seen, default=end + 1)
            assert first <= before + 1, f"epoch {epoch}: begins at {first}, behind the {before} of the one before"
            missing = sorted(set(range(first, end + 1)) ^ seen)
            assert not missing, f"epoch {epoch}: unaccounted or beyond the position {end}: {missing[:10]}"
            before = end
    return len(places)
