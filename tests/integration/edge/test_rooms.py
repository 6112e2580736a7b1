"""Rooms as far as one gateway can serve test after test: who is let in, and what is being said in a task's."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
import pytest
from nats.aio.client import Client

from gateway.live import sockets
from tests.integration.gateway.test_rooms import Agent, _keys, heard, put_together
from tests.integration.gateway.test_sockets import submitted, subscribed
from tests.support.eventually import eventually
from tests.support.running_gateway import RunningGateway, Socket, token

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_system_room_is_for_admins(gateway: RunningGateway) -> None:
    async with gateway.socket() as socket:
        await socket.receive()
        await socket.send(type="subscribe", id="a", room="system")
        assert (await socket.receive())["code"] == "missing_scope"
    async with gateway.socket(token("root", scopes=("admin",))) as socket:
        assert (await subscribed(socket, "system"))["type"] == "subscribed"


@pytest.mark.parametrize(
    ("room", "status"), [("task:x", 404), ("session:nobody", 404), ("system", 403), ("kitchen", 404), ("", 404)]
)
async def test_a_stream_of_no_room_of_yours_is_a_problem(alice: httpx.AsyncClient, room: str, status: int) -> None:
    answer = await alice.get("/api/v1/stream", params={"room": room})
    assert answer.status_code == status


async def test_who_comes_late_hears_everything_once(
    gateway: RunningGateway, alice: httpx.AsyncClient, bus: Client
) -> None:
    agent = Agent(bus, await submitted(alice), session="s-1")
    room = f"task:{agent._task_id}"
    async with gateway.socket() as early:
        await subscribed(early, room)
        for word in ("Es ", "war ", "einmal 🐝 "):
            await agent.says(word)
        async with gateway.socket() as late:
            await late.send(type="subscribe", id="b", room=room, after="0")
            await agent.says("ein König")
            await agent.says(".")
            assert put_together(await heard(late, ".'")) == agent.text
        assert put_together(await heard(early, ".'")) == agent.text
    async with gateway.socket() as quiet:
        await quiet.send(type="subscribe", id="c", room=room, deltas=False)
        await quiet.until("subscribed")
        await agent.says("!")
        await eventually(lambda: gateway.gateway.hub.speech.in_rooms(_keys(agent))[0][1].end == len(agent.text))
        await quiet.send(type="ping")
        assert (await quiet.receive())["type"] == "pong"


async def test_a_piece_that_was_lost_shows_in_the_offset(
    gateway: RunningGateway, alice: httpx.AsyncClient, bus: Client
) -> None:
    agent = Agent(bus, await submitted(alice))
    async with gateway.socket() as socket:
        await subscribed(socket, f"task:{agent._task_id}")
        await agent.says("one ")
        agent.loses("two ")
        await agent.says("three")
        frames = await heard(socket, "three")
    assert [(frame["data"]["offset"], frame["data"]["text"]) for frame in frames] == [(0, "one "), (8, "three")]  # type: ignore[index,call-overload]  # checked by the comparison


@asynccontextmanager
async def not_reading(socket: Socket) -> AsyncGenerator[None]:
    socket.connection.transport.pause_reading()
    try:
        yield
    finally:
        socket.connection.transport.resume_reading()


async def test_a_slow_reader_gets_what_was_said_meanwhile_in_one_piece(
    gateway: RunningGateway, alice: httpx.AsyncClient, bus: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "STALLED_AFTER", 120.0)  # on a busy machine all this is said in more than ten seconds
    agent = Agent(bus, await submitted(alice))
    async with gateway.socket() as socket:
        await subscribed(socket, f"task:{agent._task_id}")
        async with not_reading(socket):
            for _ in range(60):
                await agent.says("x" * 200_000)
            for _ in range(500):
                await agent.says("y")
            await agent.says("!")
            await eventually(lambda: gateway.gateway.hub.speech.in_rooms(_keys(agent))[0][1].end == len(agent.text))
        frames = await heard(socket, "!")
    assert put_together(frames) == agent.text
    assert len(frames) < 300
