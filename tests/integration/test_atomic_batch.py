"""Atomic batches: many events under one fsync, stored whole and in order, and no event lost to a repeat among them."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from nats.aio.client import Client

from deploy.local.server import Server
from producers.publisher import ATOMIC_FROM, Publisher
from producers.topology import apply
from tests.support.eventually import eventually
from tests.support.running_keeper import connect, submitted

COUNT = 3 * ATOMIC_FROM


@pytest.fixture
async def client(nats_server: Server) -> AsyncGenerator[Client]:
    client = await connect(nats_server.url)
    await apply(client)
    yield client
    await client.close()


async def _stored(client: Client) -> int:
    return (await client.jetstream().stream_info("BUS")).state.messages


async def test_each_event_of_a_batch_is_acknowledged_with_its_own_place(client: Client) -> None:
    async with Publisher(client, atomic=True) as publisher:
        events = [submitted(f"Task {number}") for number in range(COUNT)]
        acks = await asyncio.gather(*await publisher.send_all(events))
    assert [ack.seq for ack in acks] == list(range(1, COUNT + 1))
    stored = await client.jetstream().get_msg("BUS", seq=COUNT)
    assert stored.headers is not None
    assert stored.headers["Nats-Msg-Id"] == events[-1].id
    assert stored.headers["Nats-Batch-Commit"] == "1"


async def test_a_batch_with_a_repeat_in_it_is_stored_one_by_one(client: Client) -> None:
    async with Publisher(client, atomic=True) as publisher:
        events = [submitted(f"Task {number}") for number in range(COUNT)]
        await publisher.publish(events[5])
        acks = await asyncio.gather(*await publisher.send_all(events))
    assert [ack.duplicate for ack in acks] == [number == 5 for number in range(COUNT)]
    assert await _stored(client) == COUNT


async def test_a_few_events_are_not_made_a_batch(client: Client) -> None:
    async with Publisher(client, atomic=True) as publisher:
        await asyncio.gather(*await publisher.send_all([submitted() for _ in range(ATOMIC_FROM - 1)]))
    stored = await client.jetstream().get_msg("BUS", seq=1)
    assert stored.headers is not None
    assert "Nats-Batch-Id" not in stored.headers


async def test_a_batch_that_nobody_acknowledges_is_stored_too(client: Client) -> None:
    async with Publisher(client, atomic=True) as publisher:
        await publisher.post_all([("bus.acme.task.ready.1", b"{}", f"id-{number}") for number in range(COUNT)])

        async def all_there() -> bool:
            return await _stored(client) == COUNT

        await eventually(all_there)
