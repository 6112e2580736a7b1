"""A log that loses an end which subscribers have seen: they are told of a gap, whoever has read how far."""

from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from deploy.local.server import Server
from events import Event, EventData
from events.announce import Missed
from events.cursor import Cursor
from events.subjects import MISSED
from gateway.commits import Commits
from producers.connect import BusSettings, Connection
from producers.mark import mark_of
from producers.topology import apply
from tests.integration.gateway.test_sockets import names, submitted
from tests.support.eventually import eventually
from tests.support.fake_keeper import FakeKeeper
from tests.support.running_gateway import RunningGateway, running_gateway, settings_for, token
from tests.support.running_keeper import Bus, a_bus, epoch, leading
from tests.support.set_back import set_back
from tests.support.stack_follower import Follower


@pytest.fixture
async def led(module_nats_server: Server, database_url: str) -> AsyncGenerator[Bus]:
    async with a_bus(module_nats_server.url, database_url) as bus:
        yield bus


async def test_what_was_shown_and_is_lost_before_the_keeper_read_it_is_announced_as_a_gap(
    led: Bus, module_nats_server: Server, state_folder: Path
) -> None:
    first = await leading(led)
    settings = settings_for(led.nats_url, led.database_url)
    async with running_gateway(settings) as gateway, Follower(gateway.url, token("o", tenant="t")) as follower:
        kept = await led.submit("kept")
        await led.folded()
        await eventually(lambda: _seen(follower, kept), within=15)  # without a keeper nobody catches up any more
        before = await epoch(led)
        await first.stop()
        async with set_back(module_nats_server, state_folder / "copy"):
            await eventually(lambda: led.client.is_connected, within=15)
            lost = [await led.submit(f"lost {number}") for number in range(3)]
            await eventually(lambda: _seen(follower, lost[-1]), within=15)
        await eventually(lambda: led.client.is_connected, within=15)
        new = [await led.submit(f"new {number}") for number in range(5)]  # in the lost ones' places and beyond
        await leading(led)
        await led.folded(within=30)
        await eventually(lambda: "snapshot" in follower.kinds, within=15)
        after = await led.submit("after")
        await eventually(lambda: _seen(follower, after), within=15)
    assert await epoch(led) > before
    assert follower.kinds == ["subscribed", "gap", "snapshot"]
    assert all(len(follower.of(str(event.taskid))) <= 1 for event in (*lost, *new))
    assert {await led.status(event.taskid) for event in new} == {"submitted"}


async def test_what_was_shown_before_the_loss_is_not_shown_again_behind_the_snapshot(
    gateway: RunningGateway, alice: httpx.AsyncClient, keeper: FakeKeeper, nats_url: str, database_url: str
) -> None:
    """The keeper publishes what it has not read back once more, and the new epoch begins before it has read that."""
    hub = gateway.gateway.hub
    async with Connection(BusSettings(nats_url=SecretStr(nats_url)), "test") as client, gateway.socket() as socket:
        js = client.jetstream()
        task_id = await submitted(alice)
        await socket.send(type="subscribe", id="a", room="tasks")
        await socket.until("subscribed")
        keeper.pause()
        await keeper.enter(task_id, "running")
        assert names(await socket.until("event")) == ["task.running"]
        shown = await js.get_msg("BUS", seq=2)
        await keeper.stop()
        await js.delete_stream("BUS")
        await apply(client)
        await js.publish(shown.subject or "", shown.data or b"", headers=shown.headers)
        async with FakeKeeper(client, database_url) as successor:
            successor.pause()
            with _noted() as waited_for:
                await eventually(lambda: hub.is_open and hub.position == Cursor(successor.epoch, 1), within=15)
                await eventually(lambda: hub.position in waited_for)
            successor.resume()
            frames = await socket.until("snapshot", within=20)
            assert frames[-1]["cursor"] == str(Cursor(successor.epoch, 1)), "it covers what the hub does not read again"
            other = await submitted(alice)
            frames += await socket.until("event")
            assert [frame.get("event") for frame in frames if frame["type"] == "event"] == ["task.submitted"], other


@contextmanager
def _noted() -> Generator[list[Cursor]]:
    """The places that a gateway waits for the keeper to reach."""
    places, reached = list[Cursor](), Commits.reached

    async def noted(self: Commits, place: Cursor, *, within: float = 5.0) -> bool:
        places.append(place)
        return await reached(self, place, within=within)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Commits, "reached", noted)
        yield places


async def test_what_the_log_still_has_is_not_missed(led: Bus) -> None:
    """Nor is what belongs to an epoch that is over, or what cannot be read."""
    await leading(led)
    await led.submit()
    await led.folded()
    before = await epoch(led)
    mark = await mark_of(led.client.jetstream(), "BUS", 1)
    assert mark is not None
    for said in (Missed(epoch=before, seq=mark.seq, stamp=mark.stamp), Missed(epoch="earlier", seq=9, stamp=1)):
        await led.client.publish(MISSED, said.model_dump_json().encode())
    await led.client.publish(MISSED, b"nonsense")
    await led.submit()
    await led.folded()
    assert await epoch(led) == before
    await led.client.publish(MISSED, Missed(epoch=before, seq=9, stamp=1).model_dump_json().encode())
    await eventually(lambda: _renewed(led, before), within=15)


async def _renewed(led: Bus, before: str) -> bool:
    return await epoch(led) > before


def _seen(follower: Follower, event: Event[EventData]) -> bool:
    return bool(follower.of(str(event.taskid)))
