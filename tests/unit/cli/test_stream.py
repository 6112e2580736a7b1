"""A subscription that survives its socket: played against a server of the test's own."""

import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve

from cli.errors import CommandError
from cli.place import Place
from cli.stream import Happening, Snapshot, Subscription

Script = Callable[[ServerConnection, dict[str, object]], Awaitable[None]]


@asynccontextmanager
async def gateway(*scripts: Script) -> AsyncGenerator[Place]:
    """Plays one script per connection, with the subscribe frame that it got."""
    left = list(scripts)

    async def play(socket: ServerConnection) -> None:
        await left.pop(0)(socket, json.loads(await socket.recv()))

    async with serve(play, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield Place(f"http://127.0.0.1:{port}", "token")


def event(cursor: str, name: str) -> str:
    frame = {"type": "event", "id": "cli", "cursor": cursor, "event": name, "time": "2026-01-01T00:00:00Z"}
    return json.dumps(frame | {"subject": "s", "data": {}})


async def follow(where: Place, *, after: str | None = None) -> tuple[list[Happening | Snapshot], list[str]]:
    said: list[str] = []
    subscription = Subscription(where, "tasks", after=after, say=said.append)
    return [told async for told in subscription.follow()], said


async def test_a_dropped_socket_is_resumed_at_the_last_cursor() -> None:
    asked: list[object] = []

    async def first(socket: ServerConnection, frame: dict[str, object]) -> None:
        asked.append(frame.get("after"))
        await socket.send(event("e-1", "task.ready"))
        await socket.send(event("e-2", "task.running"))
        await socket.close(1012, "restart")

    async def second(socket: ServerConnection, frame: dict[str, object]) -> None:
        asked.append(frame.get("after"))
        await socket.send(event("e-3", "task.succeeded"))
        await socket.send('{"type":"end","id":"cli"}')

    async with gateway(first, second) as where:
        told, said = await follow(where, after="0")
    assert asked == ["0", "e-2"]
    assert [t.cursor for t in told] == ["e-1", "e-2", "e-3"]
    (line,) = said
    assert re.fullmatch(r"connection lost \(code 1012\); trying again in 0\.\d s", line)


async def test_a_socket_that_drops_before_any_event_resumes_where_the_subscription_began() -> None:
    asked: list[object] = []

    async def first(socket: ServerConnection, frame: dict[str, object]) -> None:
        asked.append(frame.get("after"))
        await socket.send('{"type":"subscribed","id":"cli","from":"e-7","recovered":true}')
        await socket.close(4408)

    async def second(socket: ServerConnection, frame: dict[str, object]) -> None:
        asked.append(frame.get("after"))
        await socket.send('{"type":"end","id":"cli"}')

    async with gateway(first, second) as where:
        await follow(where)
    assert asked == [None, "e-7"]


async def test_a_snapshot_moves_the_cursor_and_is_told() -> None:
    async def only(socket: ServerConnection, _: dict[str, object]) -> None:
        await socket.send('{"type":"gap","id":"cli","from":"a-1","to":"b-1"}')
        await socket.send('{"type":"snapshot","id":"cli","cursor":"b-1","data":{"items":[]}}')
        await socket.send('{"type":"end","id":"cli"}')

    async with gateway(only) as where:
        told, _ = await follow(where, after="a-1")
    assert told == [Snapshot("b-1", {"items": []})]


async def test_a_ping_is_answered() -> None:
    answers: list[object] = []

    async def only(socket: ServerConnection, _: dict[str, object]) -> None:
        await socket.send('{"type":"ping"}')
        answers.append(json.loads(await socket.recv()))
        await socket.send('{"type":"end","id":"cli"}')

    async with gateway(only) as where:
        await follow(where)
    assert answers == [{"type": "pong"}]


@pytest.mark.parametrize("code", [4400, 4401, 4403, 4404])
async def test_close_codes_that_cannot_get_better_end_the_command(code: int) -> None:
    async def only(socket: ServerConnection, _: dict[str, object]) -> None:
        await socket.close(code, "no")

    async with gateway(only) as where:
        with pytest.raises(CommandError, match="closed the socket: no"):
            await follow(where)


async def test_a_refused_subscription_is_one_line() -> None:
    async def only(socket: ServerConnection, _: dict[str, object]) -> None:
        await socket.send('{"type":"error","id":"cli","code":"not_found","detail":"There is no such task."}')
        await socket.wait_closed()

    async with gateway(only) as where:
        with pytest.raises(CommandError, match=r"There is no such task\. \[404 not_found\]"):
            await follow(where)
