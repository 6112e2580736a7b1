"""A log that loses an end which subscribers have seen: they are told of a gap, whoever has read how far."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from deploy.local.server import Server
from events import Event, EventData
from events.announce import Missed
from events.subjects import MISSED
from producers.mark import mark_of
from tests.support.eventually import eventually
from tests.support.running_gateway import running_gateway, settings_for, token
from tests.support.running_keeper import Bus, a_bus, epoch, leading
from tests.support.set_back import set_back
from tests.support.stack_follower import Follower


@pytest.fixture
async def bus(module_nats_server: Server, database_url: str) -> AsyncGenerator[Bus]:
    async with a_bus(module_nats_server.url, database_url) as bus:
        yield bus


async def test_what_was_shown_and_is_lost_before_the_keeper_read_it_is_announced_as_a_gap(
    bus: Bus, module_nats_server: Server, state_folder: Path
) -> None:
    led = await leading(bus)
    settings = settings_for(bus.nats_url, bus.database_url)
    async with running_gateway(settings) as gateway, Follower(gateway.url, token("o", tenant="t")) as follower:
        await bus.submit("kept")
        await bus.folded()
        before = await epoch(bus)
        await led.stop()
        async with set_back(module_nats_server, state_folder / "copy"):
            await eventually(lambda: bus.client.is_connected, within=15)
            lost = [await bus.submit(f"lost {number}") for number in range(3)]
            await eventually(lambda: _seen(follower, lost[-1]), within=15)
        await eventually(lambda: bus.client.is_connected, within=15)
        new = [await bus.submit(f"new {number}") for number in range(5)]  # in the lost ones' places and beyond
        await leading(bus)
        await bus.folded(within=30)
        await eventually(lambda: "snapshot" in follower.kinds, within=15)
        after = await bus.submit("after")
        await eventually(lambda: _seen(follower, after), within=15)
    assert await epoch(bus) > before
    assert follower.kinds == ["subscribed", "gap", "snapshot"]
    assert all(len(follower.of(str(event.taskid))) <= 1 for event in (*lost, *new))
    assert {await bus.status(event.taskid) for event in new} == {"submitted"}


async def test_what_the_log_still_has_is_not_missed(bus: Bus) -> None:
    """Nor is what belongs to an epoch that is over, or what cannot be read."""
    await leading(bus)
    await bus.submit()
    await bus.folded()
    before = await epoch(bus)
    mark = await mark_of(bus.client.jetstream(), "BUS", 1)
    assert mark is not None
    for said in (Missed(epoch=before, seq=mark.seq, stamp=mark.stamp), Missed(epoch="earlier", seq=9, stamp=1)):
        await bus.client.publish(MISSED, said.model_dump_json().encode())
    await bus.client.publish(MISSED, b"nonsense")
    await bus.submit()
    await bus.folded()
    assert await epoch(bus) == before
    await bus.client.publish(MISSED, Missed(epoch=before, seq=9, stamp=1).model_dump_json().encode())
    await eventually(lambda: _renewed(bus, before), within=15)


async def _renewed(bus: Bus, before: str) -> bool:
    return await epoch(bus) > before


def _seen(follower: Follower, event: Event[EventData]) -> bool:
    return bool(follower.of(str(event.taskid)))
