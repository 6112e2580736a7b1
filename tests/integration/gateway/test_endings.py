"""The end of a task is told after its last state, however close a subscriber comes to it."""

import asyncio
from uuid import UUID

import httpx
import pytest

from events.base import Event, EventData
from tests.integration.gateway.test_sockets import names, submitted
from tests.support.eventually import eventually
from tests.support.fake_keeper import FakeKeeper
from tests.support.running_gateway import RunningGateway


async def test_the_end_is_not_told_before_the_last_state_is_shown(
    gateway: RunningGateway, alice: httpx.AsyncClient, keeper: FakeKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = await submitted(alice)
    publish, published = keeper.publisher.publish, asyncio.Event()

    async def late(event: Event[EventData]) -> object:
        await published.wait()
        return await publish(event)

    monkeypatch.setattr(keeper.publisher, "publish", late)
    ending = asyncio.create_task(keeper.enter(task_id, "succeeded"))
    await eventually(lambda: _has_status(alice, task_id, "succeeded"))
    async with gateway.socket() as early:
        await early.send(type="subscribe", id="a", room=f"task:{task_id}", after="0")
        await early.until_event("task.submitted")
        published.set()
        assert names(await early.until("end")) == ["task.succeeded"]
    await ending
    async with gateway.socket() as late_one:
        await late_one.send(type="subscribe", id="a", room=f"task:{task_id}")
        assert names(await late_one.until("end")) == []


async def _has_status(client: httpx.AsyncClient, task_id: UUID, status: str) -> bool:
    return bool((await client.get(f"/api/v1/tasks/{task_id}")).json()["status"] == status)
