"""`/ws` as far as one gateway can serve test after test: a task's events once and in order, or a clear refusal."""

from uuid import UUID

import httpx
import pytest

from events.base import Event
from events.task import TaskControl
from gateway.live.ws import MAX_SUBSCRIPTIONS
from tests.integration.gateway.test_sockets import LIFE, lived, names, submitted
from tests.support.fake_keeper import FakeKeeper
from tests.support.running_gateway import RunningGateway

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_subscriber_sees_a_task_live_and_its_end(
    gateway: RunningGateway, alice: httpx.AsyncClient, keeper: FakeKeeper
) -> None:
    task_id = await submitted(alice)
    async with gateway.socket() as socket:
        assert (await socket.receive())["type"] == "hello"
        await socket.send(type="subscribe", id="a", room=f"task:{task_id}")
        assert (await socket.receive())["type"] == "subscribed"
        for status in LIFE:
            await keeper.enter(task_id, status)
        frames = await socket.until("end")
    assert names(frames) == [f"task.{status}" for status in LIFE]
    assert {frame["id"] for frame in frames} == {"a"}
    assert set(frames[0]) == {"type", "id", "cursor", "event", "time", "subject", "data"}


async def test_a_late_subscriber_sees_what_the_history_shows(
    gateway: RunningGateway, alice: httpx.AsyncClient, keeper: FakeKeeper
) -> None:
    task_id = await lived(alice, keeper)
    async with gateway.socket() as socket:
        await socket.send(type="subscribe", id="a", room=f"task:{task_id}", after="0")
        frames = await socket.until("end")
    history = (await alice.get(f"/api/v1/tasks/{task_id}/events")).json()
    shown = [
        {name: value for name, value in frame.items() if name not in {"type", "id"}}
        for frame in frames
        if frame["type"] == "event"
    ]
    assert shown == history["items"]
    assert names(frames) == ["task.submitted", *(f"task.{status}" for status in LIFE)]


async def test_a_resumed_subscriber_sees_only_what_follows(
    gateway: RunningGateway, alice: httpx.AsyncClient, keeper: FakeKeeper
) -> None:
    task_id = await lived(alice, keeper)
    items = (await alice.get(f"/api/v1/tasks/{task_id}/events?limit=2")).json()
    assert items["next_cursor"] == items["items"][1]["cursor"]
    async with gateway.socket() as socket:
        await socket.send(type="subscribe", id="a", room=f"task:{task_id}", after=items["next_cursor"])
        frames = await socket.until("end")
    assert frames[1] == {"type": "subscribed", "id": "a", "from": items["next_cursor"], "recovered": True}
    assert names(frames) == ["task.assigned", "task.running", "task.succeeded"]


async def test_a_subscriber_without_a_cursor_learns_that_the_task_is_over(
    gateway: RunningGateway, alice: httpx.AsyncClient, keeper: FakeKeeper
) -> None:
    task_id = await lived(alice, keeper)
    async with gateway.socket() as socket:
        await socket.send(type="subscribe", id="a", room=f"task:{task_id}")
        assert [frame["type"] for frame in await socket.until("end")] == ["hello", "subscribed", "end"]


@pytest.mark.parametrize("after", ["000000000001-5", "zzzz-1"])
async def test_a_cursor_of_another_epoch_gets_a_gap_and_a_snapshot(
    gateway: RunningGateway, alice: httpx.AsyncClient, keeper: FakeKeeper, after: str
) -> None:
    task_id = await submitted(alice)
    async with gateway.socket() as socket:
        await socket.send(type="subscribe", id="a", room=f"task:{task_id}", after=after)
        frames = await socket.until("snapshot")
        assert [frame["type"] for frame in frames] == ["hello", "subscribed", "gap", "snapshot"]
        assert (frames[1]["recovered"], frames[2]["from"]) == (False, after)
        snapshot = frames[3]["data"]
        task = (await alice.get(f"/api/v1/tasks/{task_id}")).json()
        assert isinstance(snapshot, dict)
        assert {**snapshot, "cursor": task["cursor"]} == task
        await keeper.enter(task_id, "succeeded")
        assert names(await socket.until("end")) == ["task.succeeded"]


async def test_a_socket_may_hold_many_subscriptions_but_not_any_number(gateway: RunningGateway) -> None:
    async with gateway.socket() as socket:
        for number in range(MAX_SUBSCRIPTIONS):
            await socket.send(type="subscribe", id=str(number), room="tasks")
            await socket.until("subscribed")
        await socket.send(type="subscribe", id="more", room="tasks")
        assert (await socket.receive())["code"] == "too_many_subscriptions"
        await socket.send(type="subscribe", id="0", room="tasks")
        assert (await socket.receive())["code"] == "subscription_exists"
        await socket.send(type="unsubscribe", id="0")
        await socket.send(type="subscribe", id="0", room="tasks")
        assert (await socket.receive())["type"] == "subscribed"


async def test_a_wrong_subscription_is_answered_with_an_error(gateway: RunningGateway) -> None:
    wrong = (
        *((room, "0", "not_found") for room in ("task:*", "task:..", f"task:{UUID(int=0)}", "session:x", "task:")),
        *(("tasks", after, "invalid_cursor") for after in ("yesterday", "-1", "0-0-0", "", "1")),
    )
    async with gateway.socket() as socket:
        await socket.receive()
        for room, after, code in wrong:
            await socket.send(type="subscribe", id="a", room=room, after=after)
            frame = await socket.receive()
            assert (frame["type"], frame["id"], frame["code"]) == ("error", "a", code), (room, after)


async def test_a_malformed_frame_closes_the_socket(gateway: RunningGateway) -> None:
    for text in (
        *("{", "[]", '"x"', "{}", '{"type":"dance"}', '{"type":"subscribe"}', b"\x00\x01", "[" * 5_000),
        '{"type":"subscribe","id":1,"room":"tasks"}',
        '{"type":"subscribe","id":"a","room":""}',
        '{"type":"subscribe","id":"a","room":"tasks","after":7}',
    ):
        async with gateway.socket() as socket:
            await socket.receive()
            await socket.connection.send(text)
            assert (await socket.closed())[0] == 4400, text


async def test_a_frame_that_is_too_large_closes_the_socket(gateway: RunningGateway) -> None:
    async with gateway.socket() as socket:
        await socket.receive()
        await socket.connection.send("x" * 70_000)
        assert (await socket.closed())[0] == 1009


async def test_events_of_another_owner_in_a_forged_envelope_are_not_shown(
    gateway: RunningGateway, alice: httpx.AsyncClient, keeper: FakeKeeper
) -> None:
    task_id = await submitted(alice)
    async with gateway.socket() as socket:
        await socket.send(type="subscribe", id="a", room=f"task:{task_id}")
        await socket.until("subscribed")
        forged = TaskControl(task_id=task_id, action="cancel", by="mallory")
        await keeper.publish(Event.first(forged, source="/x", tenant="acme", owner="mallory", task_id=task_id))
        await keeper.enter(task_id, "running")
        assert names([await socket.receive()]) == ["task.running"]
