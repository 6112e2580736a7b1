"""`/api/ws/refinements/{thread_id}` beside the real proposals: whoever comes, at whatever time, sees the whole run."""

import asyncio
import json
from typing import cast

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from gateway.compat.texts import Texts
from tests.support.desk import Desk, Json, Thread, texts
from tests.support.running_gateway import token

pytestmark = pytest.mark.asyncio(loop_scope="module")

SNAPSHOTS = [{"/".join(["a"] * depth) + ".md": "x" * depth for depth in range(1, size + 1)} for size in range(1, 4)]


async def heard(connection: ClientConnection, *, at_most: int = 1_000) -> list[Json]:
    """All frames until the server closes, or so many."""
    frames: list[Json] = []
    async with asyncio.timeout(15):
        while len(frames) < at_most:
            try:
                frames.append(cast("Json", json.loads(await connection.recv())))
            except ConnectionClosed:
                break
    return frames


def kinds(frames: list[Json]) -> list[object]:
    return [frame["event_type"] for frame in frames]


def snapshots_in(frames: list[Json]) -> list[dict[str, str]]:
    """The files of each state update that has some, path -> text."""
    found = []
    for frame in frames:
        data = cast("dict[str, dict[str, dict[str, list[str]]]]", frame["data"])
        if "files" in data:
            found.append({path.removeprefix("/"): "\n".join(of["content"]) for path, of in data["files"].items()})
    return found


async def run_slowly(thread: Thread) -> None:
    """A run whose steps a client can fall between."""
    await thread.start()
    for seq, files in enumerate(SNAPSHOTS, 1):
        await thread.snapshot(seq, files)
        await asyncio.sleep(0)
    await thread.finish()


async def test_early_dropped_and_late_clients_see_the_same_run_and_find_the_proposal(desk: Desk) -> None:
    thread = await desk.refine(await desk.workflow())
    path = f"/api/ws/refinements/{thread.id}"
    async with desk.gateway.socket(path=path) as early:
        running = asyncio.create_task(run_slowly(thread))
        async with desk.gateway.socket(path=path) as dropped:
            before = await heard(dropped.connection, at_most=2)
        frames = await heard(early.connection)
        assert kinds(frames)[-1] == "end"
        found = await thread.get()
        assert found["status"] == "completed"
        await running
    assert snapshots_in(frames) == SNAPSHOTS
    assert texts(found) == SNAPSHOTS[-1]
    assert before == frames[:2]
    for _ in range(2):
        async with desk.gateway.socket(path=path) as late:
            assert await heard(late.connection) == frames
            assert (await late.closed())[0] == 1000


async def test_a_text_that_made_room_for_others_is_never_shown_as_empty(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = await desk.refine(await desk.workflow())
    await thread.start()
    async with desk.gateway.socket(path=f"/api/ws/refinements/{thread.id}") as early:
        monkeypatch.setattr(Texts, "get", lambda *_: None)
        await thread.snapshot(1, SNAPSHOTS[0])
        assert snapshots_in(await heard(early.connection)) == []
        assert (await early.closed())[0] == 1012


async def test_a_failed_run_says_why_before_its_end(desk: Desk) -> None:
    thread = await desk.refine(await desk.workflow())
    await thread.start()
    await thread.snapshot(1, SNAPSHOTS[0])
    await thread.finish("failed", snapshot=None)
    async with desk.gateway.socket(path=f"/api/ws/refinements/{thread.id}") as late:
        frames = await heard(late.connection)
    assert kinds(frames)[-2:] == ["error", "end"]


async def test_only_who_may_see_the_proposal_may_see_its_thread(desk: Desk) -> None:
    thread = await desk.proposed(await desk.workflow(), SNAPSHOTS[0])
    path = f"/api/ws/refinements/{thread.id}"
    for bearer in ("", "nonsense", token("bob"), token("alice", tenant="elsewhere")):
        async with desk.gateway.socket(bearer, path=path) as refused:
            assert (await refused.closed())[0] == 1008
    await desk.alice.put(f"{thread.url}/access/bob", json={"access_type": "viewer"})
    for bearer, route in ((token("bob"), path), ("", f"{path}?token={token('bob')}")):
        async with desk.gateway.socket(bearer, path=route) as granted:
            assert kinds(await heard(granted.connection))[-1] == "end"
    await desk.alice.delete(f"{thread.url}/access/bob")
    async with desk.gateway.socket(token("bob"), path=path) as refused:
        assert (await refused.closed())[0] == 1008


async def test_a_grant_that_is_taken_back_ends_what_its_guest_reads_and_nothing_else(desk: Desk) -> None:
    thread = await desk.refine(await desk.workflow())
    await thread.start()
    await desk.alice.put(f"{thread.url}/access/bob", json={"access_type": "viewer"})
    await desk.alice.put(f"{thread.url}/access/carol", json={"access_type": "viewer"})
    bob, room = token("bob"), f"task:{thread.id}"
    async with (
        asyncio.timeout(20),
        desk.gateway.socket(bob) as socket,
        desk.gateway.socket(bob, path=f"/api/ws/refinements/{thread.id}") as refinement,
        desk.client("bob").stream("GET", f"/api/v1/stream?room={room}") as stream,
        desk.gateway.socket(token("carol")) as other,
        desk.gateway.socket() as own,
    ):
        for reader in (socket, other, own):
            await reader.send(type="subscribe", id="it", room=room)
            await reader.until("subscribed")
        lines = stream.aiter_lines()
        async for line in lines:
            if line == "event: subscribed":
                break
        await desk.alice.delete(f"{thread.url}/access/bob")
        refused = (await socket.until("error"))[-1]
        assert (refused["code"], refused["retryable"]) == ("shared_no_longer", False)
        assert await refinement.closed() == (1008, "shared_no_longer")
        assert "event: error" in [line async for line in lines]
        await thread.finish("failed", snapshot=None)
        await other.until("end")
        await own.until("end")
        await socket.send(type="ping")
        assert (await socket.until("pong"))[:-1] == []
        await socket.send(type="subscribe", id="again", room=room)
        assert (await socket.until("error"))[-1]["code"] == "not_found"
