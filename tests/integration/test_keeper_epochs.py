"""The log under the keeper: wiped, shortened, grown again or made by others, it is told from the one folded."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from nats.js.api import StreamConfig

from deploy.local.server import Server
from events import Event, EventData
from events.ids import new_id
from events.streams import BUS, EPOCH_KEY
from producers.topology import drift, new_epoch, start_epoch
from tests.support.accounting import assert_accounted
from tests.support.eventually import eventually
from tests.support.running_keeper import Bus, a_bus, checked, decided, epoch, facts_of, finished, leading, started
from tests.support.set_back import set_back

HAPPY = ["ready", "assigned", "running", "succeeded"]


@pytest.fixture
async def bus(module_nats_server: Server, database_url: str) -> AsyncGenerator[Bus]:
    async with a_bus(module_nats_server.url, database_url) as bus:
        yield bus
        await assert_accounted(database_url)


async def test_a_wiped_log_is_a_new_epoch_and_open_tasks_are_driven_on(bus: Bus, module_nats_server: Server) -> None:
    await leading(bus, sweep=True)
    before = await epoch(bus)
    causes = [await bus.submit(name) for name in ("submitted", "ready", "done")]
    await bus.say(causes[1], checked(causes[1]))
    await bus.run_through(causes[2])
    await bus.folded()
    await module_nats_server.wipe()
    await module_nats_server.start()

    async def swept() -> list[dict[str, object]]:
        return [event for _, event in await bus.stream() if event.get("resendof")]

    async def both_swept() -> bool:
        assert {str(event["subject"]) for event in await swept()} == {str(c.taskid) for c in causes[:2]}
        return True

    await eventually(lambda: bus.client.is_connected, within=15)
    await eventually(lambda: _renewed_epoch(bus, before), within=15)
    await eventually(both_swept, within=15)
    assert {str(event["type"]).split(".")[3] for event in await swept()} == {"submitted", "ready"}
    await bus.say(causes[0], checked(causes[0]))
    for cause in causes[:2]:
        for data in facts_of(cause)[1:]:
            await bus.say(cause, data)
    await bus.folded()
    assert {await bus.status(cause.taskid) for cause in causes} == {"succeeded"}
    assert await bus.database.fetchval("SELECT count(*) FROM task WHERE version <> 5") == 0


async def _renewed_epoch(bus: Bus, before: str) -> bool:
    return await epoch(bus) > before


async def test_a_truncated_log_is_a_new_epoch(bus: Bus, module_nats_server: Server, state_folder: Path) -> None:
    kept, lost = await bus.submit("kept"), None
    async with set_back(module_nats_server, state_folder / "copy"):
        await eventually(lambda: bus.client.is_connected, within=15)
        led = await leading(bus)
        before = await epoch(bus)
        lost = await bus.submit("lost from the log, not from the database")
        await bus.say(kept, checked(kept))
        await bus.enters(kept.taskid, "ready")
        await bus.folded()
        await led.stop()
    await eventually(lambda: bus.client.is_connected, within=15)
    await leading(bus, sweep=True)
    await bus.enters(lost.taskid, "submitted")
    await bus.folded()
    assert await epoch(bus) > before
    assert await bus.database.fetchval("SELECT count(*) FROM event_repeat") == 0, "what was kept was read again"
    assert [await bus.status(cause.taskid) for cause in (kept, lost)] == ["ready", "submitted"]
    for cause, data in ((lost, checked(lost)), (kept, decided(kept)), (kept, started(kept)), (kept, finished(kept))):
        await bus.say(cause, data)
    await bus.enters(kept.taskid, "succeeded")
    await bus.enters(lost.taskid, "ready")
    await bus.folded()


async def test_a_log_that_loses_its_end_twice_is_gone_on_with_each_time(
    bus: Bus, module_nats_server: Server, state_folder: Path
) -> None:
    epochs = []
    tasks = [await bus.submit(f"before {number}") for number in range(20)]
    for turn in range(2):
        led = await leading(bus)
        tasks += [await bus.submit(f"kept {turn} {number}") for number in range(3)]
        await bus.folded()
        async with set_back(module_nats_server, state_folder / f"copy-{turn}"):
            await eventually(lambda: bus.client.is_connected, within=15)
            tasks.append(await bus.submit(f"lost {turn}"))
            await bus.folded()
            epochs.append(await epoch(bus))
            await led.stop()
        await eventually(lambda: bus.client.is_connected, within=15)
    await leading(bus)
    tasks.append(await bus.submit("after"))
    await bus.folded()
    assert len({*epochs, await epoch(bus)}) == 3
    assert await bus.database.fetchval("SELECT count(*) FROM event_repeat") == 0
    assert {await bus.status(cause.taskid) for cause in tasks} == {"submitted"}


async def test_a_log_that_grew_again_over_the_position_is_told_from_the_old_one(
    bus: Bus, module_nats_server: Server, state_folder: Path
) -> None:
    async with set_back(module_nats_server, state_folder / "copy"):
        await eventually(lambda: bus.client.is_connected, within=15)
        led = await leading(bus)
        before = await epoch(bus)
        old = await bus.submit("old")
        await bus.folded()
        await led.stop()
    await eventually(lambda: bus.client.is_connected, within=15)
    new = [await bus.submit(f"new {number}") for number in range(3)]
    await leading(bus)
    await bus.folded()
    assert await epoch(bus) > before
    assert {await bus.status(cause.taskid) for cause in (old, *new)} == {"submitted"}


@pytest.mark.parametrize("last", ["an event under another message id", "bytes that are no event", "a repeat"])
async def test_a_restart_is_no_new_epoch_whatever_the_last_message_was(bus: Bus, last: str) -> None:
    led = await leading(bus)
    before = await epoch(bus)
    cause = await bus.submit()
    match last:
        case "a repeat":
            await bus.again(cause)
        case "bytes that are no event":
            await (await bus.publisher.send_bytes("bus.t.task.submitted.0", b"{", str(new_id())))
        case _:
            await bus.folded()
            await bus.again(_another(cause))
    await bus.folded()
    await led.stop()
    await leading(bus)
    await bus.folded()
    assert await epoch(bus) == before


def _another(cause: Event[EventData]) -> Event[EventData]:
    return cause.model_copy(update={"id": str(new_id())})


async def test_a_wiped_log_that_was_made_again_by_half_gets_its_consumers(bus: Bus) -> None:
    """Its maker died when the stream was there and the durables were not."""
    led = await leading(bus)
    before = await epoch(bus)
    await led.stop()
    js = bus.client.jetstream()
    config = (await js.stream_info("BUS")).config
    await js.delete_stream("BUS")
    await js.add_stream(config.evolve(metadata={EPOCH_KEY: new_epoch(before)}))
    await leading(bus)
    assert await epoch(bus) > before
    assert await drift(bus.client) == []


async def test_an_epoch_that_was_begun_without_the_lease_is_gone_on_in(bus: Bus) -> None:
    """Who was frozen while it began one, and wakes up when another leads, writes the token that gateways read."""
    await leading(bus)
    before = await epoch(bus)
    cause = await bus.submit()
    await bus.folded()
    token = await start_epoch(bus.client, before, common=1)
    await eventually(lambda: _is_in(bus, token))
    await bus.run_through(cause)
    await bus.enters(cause.taskid, "succeeded")
    await bus.folded()
    assert await bus.states(cause.taskid) == HAPPY


async def _is_in(bus: Bus, token: str) -> bool:
    return await epoch(bus) == token


async def test_a_log_that_others_made_gets_an_epoch(bus: Bus) -> None:
    js = bus.client.jetstream()
    config = (await js.stream_info("BUS")).config
    await js.delete_stream("BUS")
    await js.add_stream(StreamConfig(**{**config.__dict__, "metadata": None, "max_bytes": BUS.max_bytes}))
    await leading(bus)
    assert len(await epoch(bus)) == 12
    cause = await bus.submit()
    await bus.enters(cause.taskid, "submitted")
