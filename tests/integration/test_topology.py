"""The topology: what the table says is what the server has, whatever was there before."""

from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest
from nats.aio.client import Client
from nats.js.api import ConsumerConfig, DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import APIError

from deploy.local.server import Server
from events.errors import TopologyError
from events.streams import BUS, DAY, DURABLES, EPOCH_KEY, MIB, STREAMS, Durable
from producers.topology import (
    TopologySettings,
    apply,
    consumer_config,
    drift,
    epoch_of,
    new_epoch,
    start_epoch,
    stream_config,
)
from tests.support.running_keeper import connect, delete_streams


@pytest.fixture
async def client(module_nats_server: Server) -> AsyncGenerator[Client]:
    client = await connect(module_nats_server.url)
    yield client
    await delete_streams(client)
    await client.close()


async def test_an_empty_server_gets_everything_and_a_second_time_nothing(client: Client) -> None:
    missing = await drift(client)
    assert {f"stream {stream.name} is missing" for stream in STREAMS} <= set(missing)
    await apply(client)
    assert await drift(client) == []
    js = client.jetstream()
    before = [
        (info.config, info.created) for info in sorted(await js.streams_info(), key=lambda i: i.config.name or "")
    ]
    await apply(client)
    after = [(info.config, info.created) for info in sorted(await js.streams_info(), key=lambda i: i.config.name or "")]
    assert before == after


async def test_the_streams_are_what_the_design_says(client: Client) -> None:
    await apply(client)
    js = client.jetstream()
    configs = {info.config.name: info.config for info in await js.streams_info()}
    assert set(configs) == {"BUS", "WORK", "TOK", "DLQ", "ADVISORY"}
    assert all(config.retention == RetentionPolicy.LIMITS for config in configs.values())
    assert all(config.discard == DiscardPolicy.NEW for config in configs.values())
    assert all(config.allow_direct for config in configs.values())
    bus = configs["BUS"]
    assert (bus.subjects, bus.max_age, bus.max_bytes) == (["bus.>"], 7 * DAY, 4096 * MIB)
    assert (bus.duplicate_window, bus.allow_atomic, bus.storage) == (120.0, True, StorageType.FILE)
    assert (configs["TOK"].storage, configs["TOK"].max_age) == (StorageType.MEMORY, 600.0)
    assert configs["DLQ"].max_age == 30 * DAY


async def test_the_durables_are_what_the_table_says(client: Client) -> None:
    await apply(client)
    for durable in DURABLES:
        config = (await client.jetstream().consumer_info(durable.stream, durable.name)).config
        filters = config.filter_subjects or [config.filter_subject]
        assert (set(filters), config.ack_wait) == (set(durable.filters), durable.ack_wait)
        assert (config.max_deliver, config.max_ack_pending) == (durable.max_deliver, durable.max_ack_pending)


def test_a_message_is_tried_ten_times_after_two_ten_and_then_thirty_seconds() -> None:
    """What is ours alone to end (leftovers of an engine, letters to be buried) is tried for far longer."""
    patient = {"engine_cleanup", "undertaker"}
    for durable in DURABLES:
        assert durable.retry == (2.0, 10.0, 30.0), durable.name
        assert durable.max_deliver == (1_000 if durable.name in patient else 10), durable.name


CHANGES: dict[str, dict[str, object]] = {
    "max_age": {"max_age": 60.0, "duplicate_window": 30.0},
    "max_bytes": {"max_bytes": 10 * MIB},
    "duplicate_window": {"duplicate_window": 1.0},
    "discard": {"discard": DiscardPolicy.OLD},
    "allow_direct": {"allow_direct": False},
    "subjects": {"subjects": ["bus.>", "more.>"]},
}


@pytest.mark.parametrize("name", CHANGES)
async def test_drift_is_named_and_mended_and_the_epoch_and_the_events_stay(client: Client, name: str) -> None:
    await apply(client)
    js = client.jetstream()
    await client.jetstream().publish("bus.t.task.submitted.0", b"{}")
    epoch = await epoch_of(client)
    await js.update_stream(StreamConfig(**{**stream_config(BUS, {EPOCH_KEY: epoch}).__dict__, **CHANGES[name]}))
    found = await drift(client)
    assert any(line.startswith(f"stream BUS: {name} is ") for line in found), found
    await apply(client)
    assert await drift(client) == []
    assert await epoch_of(client) == epoch
    assert (await js.stream_info("BUS")).state.messages == 1


async def test_a_changed_or_missing_durable_is_named_and_mended(client: Client) -> None:
    await apply(client)
    js = client.jetstream()
    config = (await js.consumer_info("BUS", "reflex")).config
    await js.add_consumer("BUS", replace(config, ack_wait=5.0))
    await js.delete_consumer("BUS", "router")
    assert sorted(await drift(client)) == ["consumer reflex: ack_wait differs", "consumer router is missing"]
    await apply(client)
    assert await drift(client) == []


async def test_what_cannot_be_mended_is_refused_by_name(client: Client) -> None:
    js = client.jetstream()
    await js.add_stream(name="BUS", subjects=["bus.>"], storage=StorageType.MEMORY)
    with pytest.raises(TopologyError):
        await apply(client)


async def test_the_size_of_the_log_is_a_setting(client: Client) -> None:
    await apply(client, TopologySettings(log_max_bytes=64 * MIB))
    assert (await client.jetstream().stream_info("BUS")).config.max_bytes == 64 * MIB


async def test_a_full_log_refuses_what_comes_and_lets_nothing_go(client: Client) -> None:
    await apply(client, TopologySettings(log_max_bytes=64 * 1024))
    js = client.jetstream()

    async def fill() -> None:
        for _ in range(20):
            await js.publish("bus.t.task.submitted.0", b"x" * 8 * 1024)

    with pytest.raises(APIError):
        await fill()
    assert (await js.stream_info("BUS")).state.first_seq == 1


async def test_a_new_epoch_sorts_after_the_old_one_and_lets_the_durables_start_over(client: Client) -> None:
    await apply(client)
    js = client.jetstream()
    first = await epoch_of(client)
    ack = await js.publish("bus.t.task.submitted.0", b"{}")
    pull = await js.pull_subscribe_bind("reflex", "BUS")
    message = (await pull.fetch(1, timeout=5))[0]
    await message.ack_sync()
    second = await start_epoch(client, first)
    assert second > first
    assert await epoch_of(client) == second
    again = (await pull.fetch(1, timeout=5))[0]
    assert again.metadata.sequence.stream == ack.seq
    assert await drift(client) == []


async def test_a_new_epoch_of_a_log_that_only_lost_its_end_goes_on_where_each_durable_was(client: Client) -> None:
    await apply(client)
    js = client.jetstream()
    acks = [await js.publish("bus.t.task.submitted.0", b"{}") for _ in range(5)]
    pull = await js.pull_subscribe_bind("reflex", "BUS")
    for message in await pull.fetch(3, timeout=5):
        await message.ack_sync()
    await start_epoch(client, await epoch_of(client), common=acks[1].seq)  # the last ones are others by now
    again = await pull.fetch(3, timeout=5)
    assert [message.metadata.sequence.stream for message in again] == [ack.seq for ack in acks[2:]]
    await apply(client)
    assert await drift(client) == []


async def test_an_epoch_has_begun_only_once_all_durables_are_made_anew(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its token says so: a keeper that dies on the way leaves a consumer missing, and the next one begins again."""
    await apply(client)
    first = await epoch_of(client)

    asked: list[str] = []

    def interrupted(durable: Durable, *, first: int = 1) -> ConsumerConfig:
        asked.append(durable.name)
        if asked.count("router") == 2:  # the first time it is looked at, and then made anew
            raise TimeoutError
        return consumer_config(durable, first=first)

    with monkeypatch.context() as patch:
        patch.setattr("producers.topology.consumer_config", interrupted)
        with pytest.raises(TimeoutError):
            await start_epoch(client, first)
    assert await epoch_of(client) == first
    assert await drift(client) == ["consumer router is missing"]
    assert await start_epoch(client, first) > first
    assert await drift(client) == []


async def test_a_new_epoch_makes_what_is_missing(client: Client) -> None:
    epoch = await start_epoch(client, "")
    assert await drift(client) == []
    await client.jetstream().delete_stream("BUS")
    assert await epoch_of(client) == ""
    assert await start_epoch(client, epoch) > epoch


def test_epochs_sort_as_text_even_if_the_clock_goes_back() -> None:
    future = "fff000000000"
    assert "" < new_epoch() < new_epoch(future)
    assert new_epoch(future) == "fff000000001"
