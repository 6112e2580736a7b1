"""A hub that begins anew, or behind a hole: what it knew holds no longer, and what it missed is not taken for new."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
import pytest
from nats.aio.client import Client

from deploy.local.server import Server
from events.streams import BUS
from gateway.live.hub import Hub
from producers.topology import start_epoch
from tests.integration.gateway.test_sockets import names, submitted
from tests.support.eventually import eventually
from tests.support.fake_keeper import FakeKeeper
from tests.support.proxy import proxied
from tests.support.running_gateway import RunningGateway, running_gateway, settings_for, token
from tests.support.running_keeper import Bus, a_bus, leading
from tests.support.stack_follower import Follower


@asynccontextmanager
async def held_up(hub: Hub, monkeypatch: pytest.MonkeyPatch, step: str) -> AsyncGenerator[None]:
    """The hub begins anew, and comes to a step of that only when the block ends."""
    held, go_on = asyncio.Event(), asyncio.Event()
    taken = getattr(hub, step)

    async def late(*given: object) -> object:
        held.set()
        await go_on.wait()
        return await taken(*given)

    monkeypatch.setattr(hub, step, late)
    hub.epoch_changed("z")
    await held.wait()
    try:
        yield
    finally:
        go_on.set()


async def test_an_epoch_that_is_announced_while_the_hub_begins_anew_is_read(
    gateway: RunningGateway, keeper: FakeKeeper, bus: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, commits = gateway.gateway.hub, gateway.gateway.streams._replayer._commits
    async with held_up(hub, monkeypatch, "_remember_latest"):
        keeper.epoch = await start_epoch(bus, keeper.epoch)
        await eventually(lambda: commits.at.epoch == keeper.epoch)
    await eventually(lambda: hub.is_open and hub.position.epoch == keeper.epoch)


async def test_an_end_that_was_taken_back_while_the_hub_began_anew_is_not_told(
    gateway: RunningGateway, alice: httpx.AsyncClient, keeper: FakeKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = gateway.gateway.hub
    task_id = await submitted(alice)
    await keeper.enter(task_id, "failed")
    await eventually(lambda: hub.endings.is_past(str(task_id)))
    async with held_up(hub, monkeypatch, "_open"):
        await keeper.enter(task_id, "ready")
    async with gateway.socket() as socket:
        await socket.send(type="subscribe", id="a", room=f"task:{task_id}", after="0")
        await socket.until_event("task.ready")
        await keeper.enter(task_id, "succeeded")
        frames = await socket.until("end")
    assert names(frames) == ["task.succeeded"]


async def test_who_waits_for_an_end_that_came_while_the_hub_began_anew_gets_it(
    gateway: RunningGateway, alice: httpx.AsyncClient, keeper: FakeKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = gateway.gateway.hub
    async with held_up(hub, monkeypatch, "_open"):
        keeper.finishes = "succeeded"
        waiting = asyncio.create_task(alice.post("/api/v1/tasks", json={"goal": "Wait."}, headers={"Prefer": "wait=3"}))
        await eventually(lambda: keeper.position == 2)
    answer = await waiting
    assert (answer.status_code, answer.json()["status"]) == (200, "succeeded")


@pytest.fixture
async def led(module_nats_server: Server, database_url: str) -> AsyncGenerator[Bus]:
    async with a_bus(module_nats_server.url, database_url) as bus:
        await leading(bus)
        yield bus


async def test_a_repeat_of_what_was_purged_before_the_hub_read_it_is_not_shown(led: Bus) -> None:
    async with (
        proxied(led.nats_url) as proxy,
        running_gateway(settings_for(proxy.url.replace("://@", "://"), led.database_url)) as gateway,
        Follower(gateway.url, token("o", tenant="t")) as follower,
    ):
        hub = gateway.gateway.hub
        proxy.refuses = True
        proxy.cut()
        first = await led.submit("purged before it was read")
        await led.folded()
        await led.client.jetstream().purge_stream(BUS.name)
        proxy.refuses = False
        await eventually(lambda: follower.of(str(first.taskid)), within=20)
        await eventually(lambda: hub.is_open)
        await led.again(first)
        last = await led.submit("last")
        await eventually(lambda: follower.of(str(last.taskid)))
    assert len(follower.of(str(first.taskid))) == 1
