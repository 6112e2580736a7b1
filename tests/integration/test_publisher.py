"""The publisher: order, acknowledgements, and one clear error for each way in which a publish can fail."""

import asyncio
import time
from collections.abc import AsyncGenerator

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import DiscardPolicy, StreamConfig

from deploy.local.server import Server
from events.codec import CONTENT_TYPE, MSG_ID, STRUCTURED, decode
from events.errors import BusUnavailableError, InvalidEventError, LogFullError, OutcomeUnknownError
from events.subjects import subject_of
from producers.publisher import Ack, Publisher
from tests.support.eventually import eventually
from tests.support.processes import family, freeze
from tests.support.running_keeper import connect, delete_streams, submitted


@pytest.fixture
async def client(module_nats_server: Server) -> AsyncGenerator[Client]:
    client = await connect(module_nats_server.url)
    yield client
    await delete_streams(client)
    await client.close()


@pytest.fixture
async def publisher(client: Client) -> AsyncGenerator[Publisher]:
    await client.jetstream().add_stream(name="BUS", subjects=["bus.>"])
    async with Publisher(client) as publisher:
        yield publisher


async def test_an_event_is_stored_as_it_was_said(client: Client, publisher: Publisher) -> None:
    event = submitted("Grüße, 世界")
    assert await publisher.publish(event) == Ack("BUS", 1, duplicate=False)
    stored = await client.jetstream().get_msg("BUS", seq=1)
    assert stored.subject == subject_of(event)
    assert stored.headers is not None
    assert (stored.headers[CONTENT_TYPE], stored.headers[MSG_ID]) == (STRUCTURED, event.id)
    assert decode(stored.data or b"", stored.headers) == event


async def test_pipelined_publishes_keep_their_order(publisher: Publisher) -> None:
    acks = [await publisher.send(submitted(f"Task {number}")) for number in range(3_000)]
    assert [ack.seq for ack in await asyncio.gather(*acks)] == list(range(1, 3_001))
    assert publisher.in_flight == 0


async def test_a_repeat_is_acknowledged_with_the_first_ones_place(publisher: Publisher) -> None:
    first, second = submitted(), submitted()
    await publisher.publish(first)
    await publisher.publish(second)
    assert await publisher.publish(first) == Ack("BUS", 1, duplicate=True)


async def test_without_a_stream_a_publish_fails_at_once_and_loudly(client: Client) -> None:
    async with Publisher(client, timeout=30) as publisher:
        began = time.monotonic()
        with pytest.raises(BusUnavailableError):
            await publisher.publish(submitted())
        assert time.monotonic() - began < 5


async def test_while_the_bus_is_away_nothing_is_sent(
    client: Client, publisher: Publisher, module_nats_server: Server
) -> None:
    await module_nats_server.kill()
    await eventually(lambda: not client.is_connected)
    with pytest.raises(BusUnavailableError):
        await publisher.send(submitted())
    with pytest.raises(BusUnavailableError):
        await publisher.post_all([("bus.x", b"{}", "1")])
    assert publisher.in_flight == 0
    await module_nats_server.start()
    await eventually(lambda: client.is_connected, within=15)
    assert (await publisher.publish(submitted())).seq == 1


async def test_a_silent_server_leaves_the_outcome_unknown_after_the_timeout(
    client: Client, publisher: Publisher, module_nats_server: Server
) -> None:
    async with Publisher(client, timeout=0.3) as hasty:
        event = submitted()
        freeze(family(module_nats_server.pid))
        try:
            began = time.monotonic()
            with pytest.raises(OutcomeUnknownError):
                await hasty.publish(event)
            assert time.monotonic() - began >= 0.3
        finally:
            module_nats_server.resume()
        assert hasty.in_flight == 0
        assert (await publisher.publish(event)).seq == 1  # repeating is harmless: it was or was not the first


async def test_a_full_log_says_so(client: Client) -> None:
    config = StreamConfig(name="BUS", subjects=["bus.>"], max_bytes=4_000, discard=DiscardPolicy.NEW)
    await client.jetstream().add_stream(config)
    async with Publisher(client) as publisher:
        acks = [await publisher.send(submitted()) for _ in range(20)]
        with pytest.raises(LogFullError):
            await asyncio.gather(*acks)
        await asyncio.gather(*acks, return_exceptions=True)


@pytest.mark.parametrize("beyond", [0, 10_000])
async def test_an_event_larger_than_the_bus_takes_is_refused_and_costs_nobody_else(
    client: Client, publisher: Publisher, beyond: int
) -> None:
    """Just below the limit the body fits and the headers do not: the server would cut the connection."""
    reconnects = client.stats["reconnects"]
    with pytest.raises(InvalidEventError):
        await publisher.send_bytes("bus.x", b"x" * (client.max_payload + beyond - 10), "large")
    assert (await publisher.publish(submitted())).seq == 1
    assert client.stats["reconnects"] == reconnects


async def test_an_answer_that_is_no_acknowledgement_does_not_count_as_one(client: Client) -> None:
    async with Publisher(client) as publisher:

        async def thank(message: Msg) -> None:
            await message.respond(b"thanks")

        await client.subscribe("odd.>", cb=thank)
        with pytest.raises(OutcomeUnknownError):
            await (await publisher.send_bytes("odd.x", b"{}", "1"))
