"""What the keeper reads from Postgres at a time has a bound in bytes, too, and still all of it is read, in order."""

from collections.abc import AsyncGenerator
from uuid import uuid4

import asyncpg
import pytest

from storage.janitor import JanitorStore, Stuck
from storage.keeper import KeeperStore
from storage.portion import PORTION
from storage.rebuild import RebuildStore

LARGE, MANY = 1_000_000, 40
_LOG = """
INSERT INTO event_log (epoch, seq, source, id, type, tenant, owner, time, outcome, body)
SELECT 'e', n, '/x', n::text, 't', 't', 'o', now(), 'applied', convert_to(repeat('x', $1), 'UTF8')
FROM generate_series(1, $2::int) n"""
_OUTBOX = """
INSERT INTO outbox (position, event_id, subject, body)
SELECT n, n::text, 's', convert_to(repeat('x', $1), 'UTF8') FROM generate_series(1, $2::int) n"""
FITTING = -(-PORTION // LARGE)


@pytest.fixture
async def database(database_url: str) -> AsyncGenerator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(database_url)
    await connection.execute(_LOG, LARGE, MANY)
    await connection.execute(_OUTBOX, LARGE, MANY)
    yield connection
    await connection.close()


@pytest.mark.usefixtures("database")
async def test_a_rebuild_reads_large_events_a_few_at_a_time(database_url: str) -> None:
    store = await RebuildStore.open(database_url, "rebuild")
    try:
        pages = [[event.seq for event in page] async for page in store.pages()]
    finally:
        await store.discard()
        await store.close()
    assert max(map(len, pages)) == FITTING
    assert [seq for page in pages for seq in page] == list(range(1, MANY + 1))


@pytest.mark.usefixtures("database")
async def test_the_outbox_is_read_a_few_large_events_at_a_time(database_url: str) -> None:
    store = await KeeperStore.connect(database_url, "keeper")
    position, seen = 0, list[int]()
    try:
        while rows := await store.outbox_between(position, MANY):
            assert len(rows) <= FITTING
            position = rows[-1].position
            seen += [row.position for row in rows]
    finally:
        await store.close()
    assert seen == list(range(1, MANY))


@pytest.mark.usefixtures("database")
async def test_large_events_are_sent_again_a_few_at_a_time(database_url: str) -> None:
    store = await JanitorStore.connect(database_url)
    stuck = [
        Stuck(uuid4(), "submitted", None, unrouted=False, pushed=False, epoch="e", seq=seq)
        for seq in range(MANY, 0, -1)
    ]
    seen: list[int] = []
    try:
        while left := stuck[len(seen) :]:
            found = await store.driving(left)
            assert len(found) <= FITTING
            seen += [one.seq for one, _ in found]
    finally:
        await store.close()
    assert seen == [one.seq for one in stuck]
