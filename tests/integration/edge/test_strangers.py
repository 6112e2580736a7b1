"""Clients with nothing of ours in them follow a room to its end, through a network that cuts them off."""

import asyncio
import json
import sys
from asyncio.subprocess import Process
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from events.task import Status
from tests.integration.gateway.test_sockets import submitted
from tests.support.eventually import eventually
from tests.support.fake_keeper import FakeKeeper
from tests.support.proxy import Proxy, proxied
from tests.support.running_gateway import RunningGateway, token
from tests.support.strangers import NODE, absent

pytestmark = pytest.mark.asyncio(loop_scope="module")

EXAMPLES = Path(__file__).parents[3] / "examples"
LIFE: tuple[Status, ...] = ("waiting", "ready", "assigned", "running", "paused", "running", "succeeded")
TOOLS = {
    "websockets": ("ws", (sys.executable, "-I", str(EXAMPLES / "subscribe.py"))),
    "node": ("ws", (*NODE, str(EXAMPLES / "subscribe.mjs"))),
    "curl": ("http", ("sh", str(EXAMPLES / "subscribe.sh"))),
}
STRANGERS = [name for name in TOOLS if name not in absent()]
"""Those who are here; the last lines of a test run name the others (tests/conftest.py)."""


def cursors_of(output: str) -> list[str]:
    """The cursors of the events that a stranger printed: JSON lines, or server-sent events."""
    found = []
    for line in output.splitlines():
        if line.startswith("data: "):
            found.append(json.loads(line[6:]).get("cursor"))
        elif line.startswith("{"):
            found.append(json.loads(line).get("cursor"))
    return [cursor for cursor in found if cursor is not None]


async def live(gateway: RunningGateway, keeper: FakeKeeper, task_id: UUID, proxy: Proxy) -> None:
    """The task's whole life; before every second step the stranger is in its room, after it the network is cut."""
    rooms, room = gateway.gateway.hub._rooms, f"task:acme:alice:{task_id}"
    for number, status in enumerate(LIFE):
        if number % 2 == 0:
            await eventually(lambda: proxy.connections and room in rooms, within=30)
        here = frozenset(rooms.get(room, ()))
        await keeper.enter(task_id, status)
        if number % 2 == 0:
            proxy.cut()
            await eventually(lambda: here.isdisjoint(rooms.get(room, ())))  # noqa: B023 - awaited at once


async def printed(process: Process) -> str:
    """All that a stranger printed; it must have ended well."""
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return output.decode()


@pytest.mark.parametrize("name", STRANGERS)
async def test_a_stranger_sees_each_event_once_and_in_order_though_it_is_cut_off(
    gateway: RunningGateway, alice: httpx.AsyncClient, keeper: FakeKeeper, name: str
) -> None:
    scheme, command = TOOLS[name]
    task_id = await submitted(alice)
    async with proxied(gateway.url) as proxy:
        address = f"{scheme}://127.0.0.1:{proxy.port}{'/ws' if scheme == 'ws' else ''}"
        process = await asyncio.create_subprocess_exec(
            *command,
            address,
            f"task:{task_id}",
            env={"PATH": "/usr/bin:/bin", "TOKEN": token()},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(60), asyncio.TaskGroup() as both:  # whichever fails is what is reported
                output = both.create_task(printed(process))
                both.create_task(live(gateway, keeper, task_id, proxy))
        finally:
            if process.returncode is None:
                process.kill()
    history = (await alice.get(f"/api/v1/tasks/{task_id}/events")).json()["items"]
    assert cursors_of(output.result()) == [item["cursor"] for item in history]


@pytest.mark.parametrize("name", STRANGERS)
@pytest.mark.parametrize("asked", ["with a token that is none", "for nothing", "for a room that is not there"])
async def test_a_stranger_who_is_refused_or_misused_ends_and_says_why(
    gateway: RunningGateway, name: str, asked: str
) -> None:
    scheme, command = TOOLS[name]
    address = gateway.url.replace("http", scheme, 1) + ("/ws" if scheme == "ws" else "")
    process = await asyncio.create_subprocess_exec(
        *command,
        *(() if asked == "for nothing" else (address, "nowhere" if "room" in asked else "tasks")),
        env={"PATH": "/usr/bin:/bin", "TOKEN": "none" if "token" in asked else token()},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        output, errors = await process.communicate()
    assert process.returncode in {1, 2}
    assert output == b""
    told = {"for nothing": b"TOKEN=", "for a room that is not there": b"not_found"}.get(asked, b"unauthorized")
    assert told in errors
    assert b"Traceback" not in errors


@pytest.mark.parametrize("name", [name for name in STRANGERS if TOOLS[name][0] == "ws"])
async def test_a_stranger_whose_subscription_failed_for_now_asks_again(name: str) -> None:
    """The socket stays open and is kept alive: who waits on it for more waits for ever."""
    asked: list[object] = []
    failed = {"type": "error", "id": "it", "code": "overloaded", "detail": "Not now.", "retryable": True}
    frames = [
        {"type": "subscribed", "id": "it", "from": "1-0", "recovered": True},
        {"type": "event", "id": "it", "cursor": "1-7", "event": "task.ready"},
    ]

    async def answer(socket: ServerConnection) -> None:
        await socket.send(json.dumps({"type": "hello", "protocol": "ganglion.v1", "server": "ganglion"}))
        asked.append(json.loads(await socket.recv())["after"])
        for frame in [*frames, failed if len(asked) == 1 else {"type": "end", "id": "it"}]:
            await socket.send(json.dumps(frame))
        await socket.wait_closed()

    def chosen(_: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        return offered[0] if offered else None

    async with serve(answer, "127.0.0.1", 0, select_subprotocol=chosen) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        process = await asyncio.create_subprocess_exec(
            *TOOLS[name][1],
            f"ws://127.0.0.1:{port}",
            "tasks",
            env={"PATH": "/usr/bin:/bin", "TOKEN": "x"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(30):
                await printed(process)
        finally:
            if process.returncode is None:
                process.kill()
    assert asked == ["0", "1-7"]


async def test_a_message_that_was_cut_in_two_is_asked_for_again() -> None:
    asked: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode().split()[1])
        whole = b'id: 1-7\nevent: task.ready\ndata: {"cursor":"1-7"}\n\n'
        end = b"event: end\ndata: {}\n\n"
        writer.write(b"HTTP/1.0 200 OK\r\n\r\n" + (whole[:30] if len(asked) == 1 else whole + end))
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        _, command = TOOLS["curl"]
        process = await asyncio.create_subprocess_exec(
            *command,
            f"http://127.0.0.1:{port}",
            "tasks",
            env={"PATH": "/usr/bin:/bin", "TOKEN": "x"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(60):
            assert cursors_of(await printed(process)) == ["1-7"]
    assert [query.rpartition("after=")[2] for query in asked] == ["0", "0"]


_STOPPED = """
import { follow } from "%s";
const frames = [];
let made = 0;
class Cut {
  constructor() { made += 1; setTimeout(() => (made === 1 ? this.onclose({ code: 1006, reason: "" }) : this.say())); }
  say() { this.onmessage({ data: '{"type":"event","cursor":"1-7"}' }); }
  send() {}
  close() {}
}
Math.random = () => 0.1;
const asked = { url: "ws://x", token: "t", room: "tasks", onFrame: (frame) => frames.push(frame), WebSocket: Cut };
const it = follow({ ...asked, onInterruption: () => it.stop() });
console.log(await it.done, await new Promise((told) => setTimeout(() => told(made), 200)), frames.length);
"""


@pytest.mark.parametrize("name", [name for name in STRANGERS if name == "node"])
async def test_who_stops_while_it_is_cut_off_does_not_come_back(name: str) -> None:
    program = _STOPPED % Path(TOOLS[name][1][-1]).as_uri()
    process = await asyncio.create_subprocess_exec(
        *NODE, "--input-type=module", "--eval", program, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        assert await printed(process) == "stopped 1 0\n"
