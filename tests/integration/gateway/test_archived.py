"""History that was archived is told as a gap, or refused: never is a part of it shown as if it were all."""

from collections.abc import AsyncGenerator
from pathlib import Path
from uuid import UUID

import pytest

from consumers.keeper.archive import archive, restore
from deploy.local.server import Server
from events.cursor import Cursor
from gateway.live import replay
from storage.archive import ArchiveStore
from storage.log import LogEntry, Whose, entries
from storage.reading import Database
from tests.integration.test_archive import now, over
from tests.support.running_gateway import RunningGateway, Socket, running_gateway, settings_for, token
from tests.support.running_keeper import Bus, a_bus, leading

OWNER = token("o", tenant="t")


@pytest.fixture
async def bus(module_nats_server: Server, database_url: str) -> AsyncGenerator[Bus]:
    async with a_bus(module_nats_server.url, database_url) as bus:
        yield bus


async def gone(bus: Bus, path: Path) -> None:
    """All that is over goes into a file."""
    async with ArchiveStore.open(bus.database_url) as store:
        assert (await archive(store, await now(bus, store), path)).rows > 0


async def last_place(bus: Bus, task_id: UUID | None) -> str:
    found = await bus.database.fetchrow("SELECT epoch, seq FROM archived_task WHERE task_id = $1", task_id)
    assert found is not None
    return f"{found['epoch']}-{found['seq']}"


async def kinds(socket: Socket, last: str, **asked: str) -> list[object]:
    """What a subscription is told, to the first of a kind: whether all was recovered, then kinds and events' names."""
    await socket.send(type="subscribe", id=str(asked), **asked)
    frames = await socket.until(last)
    while frames[0]["type"] != "subscribed":
        frames.pop(0)
    await socket.send(type="unsubscribe", id=str(asked))
    return [frames[0]["recovered"], *(frame.get("event", frame["type"]) for frame in frames[1:])]


async def test_who_comes_from_before_is_told_a_gap(bus: Bus, tmp_path: Path) -> None:
    over_now, *_ = await over(bus)
    await gone(bus, tmp_path / "file")
    await leading(bus)
    alive = await bus.submit(hold=True)
    await bus.folded()
    task, other, last = f"task:{over_now.taskid}", f"task:{alive.taskid}", await last_place(bus, over_now.taskid)
    async with running_gateway(settings_for(bus.nats_url, bus.database_url)) as gateway:
        async with gateway.socket(OWNER) as socket:
            for room in (task, "tasks"):
                assert await kinds(socket, "snapshot", room=room, after="0") == [False, "gap", "snapshot"]
            before = f"{Cursor.parse(last).epoch}-2"
            assert await kinds(socket, "end", room=task, after=before) == [False, "gap", "snapshot", "end"]
            assert await kinds(socket, "end", room=task, after=last) == [True, "end"]
            assert await kinds(socket, "event", room=other, after="0") == [True, "task.submitted"]
        await told_over_http(gateway, over_now.taskid, alive.taskid, last)
        async with ArchiveStore.open(bus.database_url) as store:
            await restore(store, tmp_path / "file")
        async with gateway.socket(OWNER) as socket:
            assert (await kinds(socket, "end", room=task, after="0"))[:2] == [True, "task.submitted"]


async def told_over_http(gateway: RunningGateway, task_id: UUID | None, other: UUID | None, last: str) -> None:
    async with gateway.client(OWNER) as client:
        refused = await client.get(f"/api/v1/tasks/{task_id}/events")
        assert (refused.status_code, refused.json()["code"]) == (410, "history_archived")
        assert (await client.get(f"/api/v1/tasks/{task_id}/events", params={"after": last})).json()["items"] == []
        assert len((await client.get(f"/api/v1/tasks/{other}/events")).json()["items"]) == 1
        assert (await client.get(f"/api/v1/tasks/{task_id}")).json()["status"] == "succeeded"
        assert "event: end" in (await client.get(f"/api/v1/tasks/{task_id}/stream")).text


async def test_what_goes_while_it_is_read_is_told_too(
    bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    event, *_ = await over(bus)
    await leading(bus)

    async def late(engine: Database, whose: Whose, after: Cursor, until: Cursor | None, limit: int) -> list[LogEntry]:
        monkeypatch.setattr(replay, "entries", entries)
        await gone(bus, tmp_path / "file")
        return await entries(engine, whose, after, until, limit)

    monkeypatch.setattr(replay, "entries", late)
    async with (
        running_gateway(settings_for(bus.nats_url, bus.database_url)) as gateway,
        gateway.socket(OWNER) as socket,
    ):
        told = await kinds(socket, "end", room=f"task:{event.taskid}", after="0")
    assert told == [True, "gap", "snapshot", "end"]
