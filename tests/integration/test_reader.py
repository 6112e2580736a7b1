"""The shared reader: every message once and in order, whatever happens to sockets, servers and the stream."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from nats.aio.client import Client

from deploy.local.server import Server
from producers.publisher import Publisher
from producers.reader import Delivery, Hole, Reader, StreamLostError
from tests.support.eventually import eventually
from tests.support.proxy import proxied
from tests.support.running_keeper import connect, delete_streams
from tests.support.set_back import set_back


@pytest.fixture
async def client(module_nats_server: Server) -> AsyncGenerator[Client]:
    client = await connect(module_nats_server.url)
    await client.jetstream().add_stream(name="S", subjects=["s.>"])
    yield client
    await delete_streams(client)
    await client.close()


async def fill(client: Client, count: int, first: int = 1) -> None:
    """`count` numbered messages."""
    async with Publisher(client, timeout=30) as publisher:
        acks = [
            await publisher.send_bytes("s.x", b"%d" % number, f"m{number}") for number in range(first, first + count)
        ]
        await asyncio.gather(*acks)


async def take(reader: Reader, count: int, within: float = 20.0) -> list[Delivery | Hole]:
    """The next `count` items."""
    taken: list[Delivery | Hole] = []
    async with asyncio.timeout(within):
        while len(taken) < count:
            taken += await reader.batch(count - len(taken))
    return taken


def seqs(items: list[Delivery | Hole]) -> list[int | tuple[int, int]]:
    return [item.seq if isinstance(item, Delivery) else (item.first_seq, item.last_seq) for item in items]


async def test_it_reads_what_was_there_and_what_comes(client: Client) -> None:
    await fill(client, 3)
    async with Reader(client, "S", 2) as reader:
        assert seqs(await take(reader, 2)) == [2, 3]
        assert not await reader.more(0.05)
        await fill(client, 2, first=4)
        assert await reader.more(5)
        items = await take(reader, 2)
    stored = await client.jetstream().get_msg("S", seq=4)
    first = items[0]
    assert isinstance(first, Delivery)
    assert seqs(items) == [4, 5]
    assert (first.body, first.subject, (first.headers or {})["Nats-Msg-Id"]) == (b"4", "s.x", "m4")
    assert stored.time is not None
    assert abs((first.time - stored.time).total_seconds()) < 0.001


async def test_a_batch_is_what_is_waiting_and_never_more_than_asked_for(client: Client) -> None:
    await fill(client, 100)
    async with Reader(client, "S", 1) as reader:
        await eventually(lambda: len(reader._pull._received) == 100)
        assert [len(await reader.batch(64)), len(await reader.batch(64))] == [64, 36]


async def test_large_messages_come_in_portions_that_memory_and_server_can_bear(client: Client) -> None:
    """A server hangs up on who has 64 MiB before it, and one commit of 256 MiB takes longer than a lease."""
    count, large, most = 60, b"x" * 1_000_000, 8 * 1024 * 1024
    async with Publisher(client, timeout=30) as publisher:
        for number in range(count):
            await (await publisher.send_bytes("s.x", large, f"m{number}"))
    async with Reader(client, "S", 1) as reader:
        await eventually(lambda: len(reader._pull._received) > 10)
        taken: list[Delivery | Hole] = []
        while len(taken) < count:
            assert len(reader._pull._received) < 50
            batch = await reader.batch()
            assert sum(len(item.body) for item in batch if isinstance(item, Delivery)) <= most
            taken += batch
    assert seqs(taken) == list(range(1, count + 1))


@pytest.mark.parametrize(
    ("deleted", "expected"),
    [
        ([1, 2], [(1, 2), 3, 4, 5, 6]),
        ([3], [1, 2, (3, 3), 4, 5, 6]),
        ([2, 4, 5], [1, (2, 2), 3, (4, 5), 6]),
        ([5, 6], [1, 2, 3, 4, (5, 6), 7]),
        ([1, 2, 3, 4, 5, 6], [(1, 6), 7]),
    ],
)
async def test_what_the_stream_lacks_is_an_explicit_hole(
    client: Client, deleted: list[int], expected: list[int | tuple[int, int]]
) -> None:
    await fill(client, 6)
    for seq in deleted:
        await client.jetstream().delete_msg("S", seq)
    if expected[-1] == 7:
        await fill(client, 1, first=7)
    async with Reader(client, "S", 1) as reader:
        assert seqs(await take(reader, len(expected))) == expected


async def test_a_hole_at_the_very_end_is_found_without_waiting_for_more(client: Client) -> None:
    await fill(client, 3)
    for seq in (2, 3):
        await client.jetstream().delete_msg("S", seq)
    async with Reader(client, "S", 2) as reader:
        assert seqs(await take(reader, 1, within=5)) == [(2, 3)]


async def test_messages_deleted_under_a_reader_are_a_hole(client: Client) -> None:
    await fill(client, 2)
    async with Reader(client, "S", 1) as reader:
        await take(reader, 2)
        await client.jetstream().purge_stream("S")
        await fill(client, 3, first=3)
        await client.jetstream().delete_msg("S", 4)
        assert seqs(await take(reader, 3)) in ([3, 4, 5], [3, (4, 4), 5])  # it may have been read already


async def test_nothing_is_lost_or_doubled_when_sockets_are_cut_again_and_again(
    client: Client, module_nats_server: Server
) -> None:
    count = 20_000
    await fill(client, count)
    async with proxied(module_nats_server.url) as proxy:
        far = await connect(proxy.url)
        try:
            async with Reader(far, "S", 1) as reader:
                seen: list[int] = []
                async with asyncio.timeout(60):
                    while len(seen) < count:
                        items = await reader.batch()
                        seen += [item.seq for item in items if isinstance(item, Delivery)]
                        if len(seen) > (proxy.cuts + 1) * 2_000:
                            proxy.cut()
        finally:
            await far.close()
        assert proxy.cuts >= 9
    assert seen == list(range(1, count + 1))


async def test_it_reads_on_after_the_server_was_killed(client: Client, module_nats_server: Server) -> None:
    await fill(client, 10)
    async with Reader(client, "S", 1) as reader:
        await take(reader, 5)
        await module_nats_server.kill()
        await module_nats_server.start()
        await eventually(lambda: client.is_connected, within=15)
        await fill(client, 10, first=11)
        assert seqs(await take(reader, 15)) == list(range(6, 21))


async def test_a_consumer_that_someone_deletes_is_made_anew(client: Client) -> None:
    await fill(client, 2)
    async with Reader(client, "S", 1) as reader:
        await take(reader, 2)
        for consumer in await client.jetstream().consumers_info("S"):
            await client.jetstream().delete_consumer("S", consumer.name)
        await fill(client, 2, first=3)
        assert seqs(await take(reader, 2)) == [3, 4]


async def test_a_missing_stream_is_said_to_be_lost(client: Client) -> None:
    with pytest.raises(StreamLostError):
        await Reader(client, "NONE", 1).__aenter__()


async def test_a_stream_that_ends_before_the_place_is_said_to_be_lost(client: Client) -> None:
    await fill(client, 2)
    async with Reader(client, "S", 3):
        pass
    with pytest.raises(StreamLostError):
        await Reader(client, "S", 4).__aenter__()


async def test_a_stream_that_goes_away_under_a_reader_is_said_to_be_lost(client: Client) -> None:
    await fill(client, 2)
    async with Reader(client, "S", 1) as reader:
        await take(reader, 2)
        await client.jetstream().delete_stream("S")
        with pytest.raises(StreamLostError):
            await take(reader, 1)


async def test_a_stream_that_lost_its_end_and_grew_again_is_said_to_be_lost(
    client: Client, module_nats_server: Server, state_folder: Path
) -> None:
    await fill(client, 2)
    async with set_back(module_nats_server, state_folder / "copy"):
        await eventually(lambda: client.is_connected, within=15)
        await fill(client, 2, first=3)
        reader = await Reader(client, "S", 1).__aenter__()
        await take(reader, 4)
    other = await connect(module_nats_server.url)
    await fill(other, 3, first=10)
    await other.close()
    with pytest.raises(StreamLostError, match="another message at 4"):
        await take(reader, 1)


async def test_a_reader_that_is_not_asked_holds_no_more_than_its_window(client: Client) -> None:
    await fill(client, 1_000)
    async with Reader(client, "S", 1, window=64) as reader:
        await eventually(lambda: len(reader._pull._received) == 64)
        await client.flush()
        assert len(reader._pull._received) == 64
        assert seqs(await take(reader, 1_000)) == list(range(1, 1_001))
        assert len(reader._pull._received) <= 64


async def test_a_reader_that_ends_leaves_no_consumer_behind(client: Client) -> None:
    async with Reader(client, "S", 1):
        assert len(await client.jetstream().consumers_info("S")) == 1
    assert await client.jetstream().consumers_info("S") == []
