"""`/ws` and the SSE stream: every event once and in order, an explicit gap, or a clear close code."""

import asyncio
import json
from uuid import UUID

import httpx
import pytest
from nats.aio.client import Client

from deploy.local.server import Server
from events.cursor import Cursor
from events.task import Status
from producers.topology import apply
from storage.log import Identified
from tests.support.eventually import eventually
from tests.support.fake_keeper import FakeKeeper
from tests.support.running_gateway import Frame, RunningGateway, Socket, token

GOAL = {"goal": "Summarise the incident notes"}
LIFE: tuple[Status, ...] = ("ready", "assigned", "running", "succeeded")


async def submitted(client: httpx.AsyncClient) -> UUID:
    return UUID((await client.post("/api/v1/tasks", json=GOAL)).json()["task_id"])


async def lived(client: httpx.AsyncClient, keeper: FakeKeeper) -> UUID:
    task_id = await submitted(client)
    for status in LIFE:
        await keeper.enter(task_id, status)
    return task_id


def names(frames: list[Frame]) -> list[object]:
    return [frame["event"] for frame in frames if frame["type"] == "event"]


async def test_subscribing_while_events_flow_shows_each_once_and_in_order(
    gateway: RunningGateway, alice: httpx.AsyncClient, keeper: FakeKeeper
) -> None:
    async def submit_many() -> list[UUID]:
        return [await submitted(alice) for _ in range(60)]

    async def watch(after: str) -> list[object]:
        async with gateway.socket() as socket:
            await socket.send(type="subscribe", id="a", room="tasks", after=after)
            frames = await socket.until_event("task.cancelled", within=20)
        return [frame["cursor"] for frame in frames if frame["type"] == "event"]

    submitting = asyncio.create_task(submit_many())
    watching = []
    for _ in range(8):
        watching.append(asyncio.create_task(watch("0")))
        await asyncio.sleep(0.03)
    ids = await submitting
    await keeper.enter(ids[-1], "cancelled")
    expected = [f"{keeper.epoch}-{seq}" for seq in range(1, 62)]
    for cursors in await asyncio.gather(*watching):
        assert cursors == expected


async def test_an_event_published_twice_is_shown_once(
    gateway: RunningGateway, alice: httpx.AsyncClient, keeper: FakeKeeper, bus: Client
) -> None:
    task_id = await submitted(alice)
    head = keeper.head(task_id)
    async with gateway.socket() as socket:
        await socket.send(type="subscribe", id="a", room="tasks", after="0")
        await socket.until_event("task.submitted")
        config = (await bus.jetstream().stream_info("BUS")).config
        config.duplicate_window = 0.1
        await bus.jetstream().update_stream(config)
        await asyncio.sleep(0.3)
        await keeper.publish(head)
        resent = head.model_copy(update={"id": "resent", "resendof": head.id})
        await keeper.publish(resent)
        await keeper.enter(task_id, "succeeded")
        assert names(await socket.until_event("task.succeeded")) == ["task.succeeded"]


async def test_the_owners_room_shows_the_owners_and_the_admins_room_the_tenants(
    gateway: RunningGateway, alice: httpx.AsyncClient
) -> None:
    admin = token("root", scopes=("admin",))
    async with gateway.socket() as mine, gateway.socket(admin) as all_of_them, gateway.client(token("bob")) as bob:
        for socket in (mine, all_of_them):
            await socket.send(type="subscribe", id="a", room="tasks")
            await socket.until("subscribed")
        theirs, own = await submitted(bob), await submitted(alice)
        assert [(await mine.receive())["subject"]] == [str(own)]
        assert [(await all_of_them.receive())["subject"] for _ in range(2)] == [str(theirs), str(own)]


async def test_a_cursor_beyond_the_end_gets_a_gap_too(
    gateway: RunningGateway, alice: httpx.AsyncClient, keeper: FakeKeeper
) -> None:
    await submitted(alice)
    async with gateway.socket() as socket:
        await socket.send(type="subscribe", id="a", room="tasks", after=f"{keeper.epoch}-999")
        frames = await socket.until("snapshot")
    data = frames[-1]["data"]
    assert isinstance(data, dict)
    assert len(list(data["items"] or ())) == 1  # type: ignore[arg-type]  # a list, as the page has it


async def test_a_lost_stream_is_a_gap_for_live_subscribers_and_then_goes_on(
    gateway: RunningGateway, alice: httpx.AsyncClient, keeper: FakeKeeper, bus: Client, database_url: str
) -> None:
    task_id = await submitted(alice)
    async with gateway.socket() as socket:
        await socket.send(type="subscribe", id="a", room="tasks")
        await socket.until("subscribed")
        await keeper.stop()
        await bus.jetstream().delete_stream("BUS")
        await apply(bus)
        async with FakeKeeper(bus, database_url) as successor:
            frames = await socket.until("snapshot", within=20)
            assert [frame["type"] for frame in frames] == ["gap", "snapshot"]
            assert str(frames[1]["cursor"]).startswith(successor.epoch)
            await submitted(alice)
            shown = await socket.until_event("task.submitted")
            assert len(shown) == 1
            assert str(shown[0]["cursor"]).startswith(successor.epoch)
            assert shown[0]["subject"] != str(task_id)


async def test_a_reader_that_is_too_slow_is_closed_with_the_place_to_resume(
    gateway: RunningGateway, alice: httpx.AsyncClient, keeper: FakeKeeper
) -> None:
    task_id = await submitted(alice)
    async with gateway.socket() as socket:
        await socket.send(type="subscribe", id="a", room=f"task:{task_id}", after="0")
        await socket.until_event("task.submitted")
        socket.connection.transport.pause_reading()
        for _ in range(24):
            await keeper.enter(task_id, "running", {"text": "x" * 400_000})
        await eventually(lambda: gateway.gateway.hub.position.seq == 25)
        socket.connection.transport.resume_reading()
        cursors = []
        try:
            while True:
                cursors.append((await socket.receive())["cursor"])
        except Exception:  # noqa: BLE001 - whichever way the library says that it is closed
            code, reason = await socket.closed()
    assert (code, reason) == (4408, cursors[-1])
    async with gateway.socket() as socket:
        await socket.send(type="subscribe", id="a", room=f"task:{task_id}", after=reason)
        await socket.until("subscribed")
        resumed = [(await socket.receive())["cursor"] for _ in range(24 - len(cursors))]
    assert [*cursors, *resumed] == [f"{keeper.epoch}-{seq}" for seq in range(2, 26)]


async def test_a_stopping_gateway_says_so_and_asks_to_come_back(gateway: RunningGateway) -> None:
    async with gateway.socket() as socket:
        await socket.receive()
        await gateway.gateway.drain()
        assert (await socket.receive())["type"] == "drain"
        assert (await socket.closed())[0] == 1012


async def sse(client: httpx.AsyncClient, url: str, headers: dict[str, str] | None = None) -> list[dict[str, str]]:
    """All messages of a stream that ends."""
    messages: list[dict[str, str]] = []
    async with client.stream("GET", url, headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        fields: dict[str, str] = {}
        async for line in answer.aiter_lines():
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif fields:
                messages.append(fields)
                fields = {}
    return messages


async def test_the_event_stream_carries_the_same_events(
    gateway: RunningGateway, alice: httpx.AsyncClient, keeper: FakeKeeper
) -> None:
    task_id = await submitted(alice)
    reading = asyncio.create_task(sse(alice, f"/api/v1/tasks/{task_id}/stream?after=0"))
    for status in LIFE:
        await keeper.enter(task_id, status)
    messages = await reading
    await eventually(lambda: keeper.has_folded(5))
    assert [message.get("event") for message in messages] == [
        *(None, "subscribed", "task.submitted"),
        *(f"task.{status}" for status in LIFE),
        "end",
    ]
    history = (await alice.get(f"/api/v1/tasks/{task_id}/events")).json()["items"]
    assert [json.loads(message["data"]) for message in messages[2:-1]] == history
    assert [message["id"] for message in messages[2:-1]] == [item["cursor"] for item in history]
    resumed = await sse(alice, f"/api/v1/tasks/{task_id}/stream", {"Last-Event-ID": messages[-3]["id"]})
    assert [message.get("event") for message in resumed] == [None, "subscribed", "task.succeeded", "end"]


async def subscribed(socket: Socket, room: str) -> Frame:
    await socket.send(type="subscribe", id="a", room=room)
    return (await socket.until("subscribed"))[-1]


async def test_a_subscription_outlives_a_restart_of_nats(
    gateway: RunningGateway, alice: httpx.AsyncClient, keeper: FakeKeeper, nats_server: Server
) -> None:
    task_id = await submitted(alice)
    async with gateway.socket() as socket:
        await subscribed(socket, f"task:{task_id}")
        await nats_server.kill()
        await nats_server.start()
        await eventually(lambda: _ready(alice), within=10)
        await eventually(lambda: _is_back(keeper), within=10)
        await keeper.enter(task_id, "succeeded")
        assert names(await socket.until("end", within=15)) == ["task.succeeded"]


async def _is_back(keeper: FakeKeeper) -> bool:
    return keeper.is_connected


async def _ready(client: httpx.AsyncClient) -> bool:
    return (await client.get("/readyz")).status_code == 200


async def test_what_is_committed_while_the_hub_starts_is_shown(
    gateway: RunningGateway, alice: httpx.AsyncClient, keeper: FakeKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = await submitted(alice)
    hub = gateway.gateway.hub
    remembered = hub._latest_ids

    async def slowly(until: Cursor, limit: int) -> list[Identified]:
        await keeper.enter(task_id, "running")
        await eventually(lambda: keeper.has_folded(until.seq + 1))
        return await remembered(until, limit)

    async with gateway.socket() as socket:
        await subscribed(socket, f"task:{task_id}")
        monkeypatch.setattr(hub, "_latest_ids", slowly)
        hub.epoch_changed("another")
        assert names([await socket.receive()]) == ["task.running"]


async def test_a_cursor_from_a_gateway_that_is_a_moment_ahead_is_no_gap(
    gateway: RunningGateway, alice: httpx.AsyncClient, keeper: FakeKeeper
) -> None:
    task_id = await submitted(alice)
    async with gateway.socket() as socket:
        await socket.send(type="subscribe", id="a", room="tasks", after=f"{keeper.epoch}-2")
        await keeper.enter(task_id, "ready")
        await keeper.enter(task_id, "running")
        frames = await socket.until_event("task.running")
    assert [frame["type"] for frame in frames] == ["hello", "subscribed", "event"]
    assert frames[1]["recovered"] is True
