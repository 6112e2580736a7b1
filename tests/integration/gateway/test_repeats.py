"""An event that lies in the log twice is shown once, also by a gateway that came after the first."""

from collections import OrderedDict
from collections.abc import AsyncGenerator

import pytest

from deploy.local.server import Server
from events.cursor import Cursor
from events.errors import StoreUnavailableError
from storage.log import Identified
from tests.support.eventually import eventually
from tests.support.running_gateway import running_gateway, settings_for, token
from tests.support.running_keeper import Bus, a_bus, leading
from tests.support.stack_follower import Follower


@pytest.fixture
async def led(module_nats_server: Server, database_url: str) -> AsyncGenerator[Bus]:
    async with a_bus(module_nats_server.url, database_url) as bus:
        keeper = await leading(bus)
        await bus.submit("folded")
        await bus.folded()
        await keeper.stop()
        yield bus


async def test_a_repeat_of_what_the_keeper_had_not_folded_when_the_gateway_started_is_not_shown(led: Bus) -> None:
    first = await led.submit("not folded yet")
    async with (
        running_gateway(settings_for(led.nats_url, led.database_url)) as gateway,
        Follower(gateway.url, token("o", tenant="t")) as follower,
    ):
        await led.again(first)
        last = await led.submit("last")
        await leading(led)
        await eventually(lambda: follower.of(str(last.taskid)))
    assert len(follower.of(str(first.taskid))) == 1


async def test_all_that_the_keeper_had_not_folded_is_known_however_far_it_lags(
    led: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.live.hub._REMEMBERED_FROM_BEFORE", 2)
    first, *_ = [await led.submit(f"not folded yet {number}") for number in range(4)]
    async with (
        running_gateway(settings_for(led.nats_url, led.database_url)) as gateway,
        Follower(gateway.url, token("o", tenant="t"), after=None) as follower,
    ):
        await led.again(first)
        last = await led.submit("last")
        await eventually(lambda: follower.of(str(last.taskid)))
    assert follower.of(str(first.taskid)) == []


async def test_a_hub_that_begins_without_the_database_knows_what_lies_in_the_stream(
    led: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await led.submit("seen by a gateway before")

    async def unavailable(until: Cursor, limit: int) -> list[Identified]:
        raise StoreUnavailableError

    async with running_gateway(settings_for(led.nats_url, led.database_url)) as gateway:
        hub = gateway.gateway.hub
        await eventually(lambda: hub.is_open)
        monkeypatch.setattr(hub, "_latest_ids", unavailable)
        monkeypatch.setattr(hub, "_shown", OrderedDict())
        breaks = hub.breaks
        hub.epoch_changed("another")
        await eventually(lambda: hub.breaks > breaks and hub.is_open)
        async with Follower(gateway.url, token("o", tenant="t"), after=None) as follower:
            await led.again(first)
            last = await led.submit("last")
            await eventually(lambda: follower.of(str(last.taskid)))
    assert follower.of(str(first.taskid)) == []
