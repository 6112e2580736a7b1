"""What every other test relies on: each test has a bus, a database and a Valkey without anybody else's data."""

import time
from urllib.parse import urlsplit

import asyncpg
import nats
import pytest
from redis.asyncio import Redis

from deploy.local.server import Server
from tests.support.databases import Spare
from tests.support.eventually import eventually

TWICE = pytest.mark.parametrize("turn", [1, 2])


@TWICE
async def test_a_database_holds_the_schema_and_nothing_of_an_earlier_test(database_url: str, turn: int) -> None:
    database = await asyncpg.connect(database_url)
    tables = [row["tablename"] for row in await database.fetch("SELECT tablename FROM pg_tables")]
    await database.execute("CREATE TABLE left_behind (value int)")
    await database.close()
    assert "event_log" in tables
    assert "left_behind" not in tables


@pytest.mark.parametrize(
    "left",
    [
        "UPDATE keeper SET position = 7, epoch = 'x'",
        "INSERT INTO event_gap (epoch, first_seq, last_seq, found_at) VALUES ('x', 1, 2, now())",
        "CREATE FUNCTION left_behind() RETURNS int LANGUAGE sql RETURN 1",
        "ALTER TABLE task ADD COLUMN left_behind int",
        "DROP INDEX event_log_owner_idx",
        "ALTER DATABASE {name} SET work_mem = '1MB'",
        "BEGIN; LOCK TABLE event_gap",
    ],
)
async def test_what_a_test_leaves_in_its_database_is_gone_for_the_next(spare: Spare, left: str) -> None:
    found = []
    for _ in range(2):
        async with spare.lend() as url:
            database = await asyncpg.connect(url)
            found.append([*(await database.fetch(_ALL_THERE_IS)), await database.fetchval("SHOW work_mem")])
            await database.execute(left.format(name=urlsplit(url).path.lstrip("/")))
        database.terminate()  # only now: what is still connected holds up nobody
    assert found[0] == found[1]


_ALL_THERE_IS = """
SELECT c.relname, a.attname, '' AS value FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
  WHERE c.relnamespace = 'public'::regnamespace
UNION ALL SELECT proname, '', '' FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL SELECT 'keeper', '', k::text FROM keeper k
UNION ALL SELECT 'event_gap', '', g::text FROM event_gap g
ORDER BY 1, 2, 3"""


@TWICE
async def test_a_bus_has_no_stream_of_an_earlier_test(nats_url: str, turn: int) -> None:
    client = await nats.connect(nats_url)
    streams = await client.jetstream().streams_info()
    await client.jetstream().add_stream(name="BUS", subjects=["bus.>"])
    await client.close()
    assert streams == []


@TWICE
async def test_valkey_has_no_key_of_an_earlier_test(redis_url: str, turn: int) -> None:
    async with Redis.from_url(redis_url) as redis:
        assert await redis.dbsize() == 0
        await redis.set("left_behind", "1")


async def test_the_server_to_break_is_the_one_the_url_names(nats_url: str, nats_server: Server) -> None:
    assert nats_server.url == nats_url


async def test_eventually_returns_the_first_truthy_answer() -> None:
    answers = iter([0, None, 7])
    assert await eventually(lambda: next(answers)) == 7


async def test_eventually_takes_failed_assertions_for_not_yet() -> None:
    answers = iter([1, 2, 3])

    async def is_three() -> bool:
        assert next(answers) == 3
        return True

    assert await eventually(is_three)


async def test_eventually_gives_up_at_its_deadline_and_shows_the_last_answer() -> None:
    start = time.monotonic()
    with pytest.raises(AssertionError, match=r"did not come true within 0.4 s; last: 0"):
        await eventually(lambda: 0, within=0.1)
    assert time.monotonic() - start < 2
