"""A stream's reader that has stopped reading is sent away like a socket's: with the place to resume."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
import pytest

from tests.integration.gateway.test_sockets import submitted
from tests.support.eventually import eventually
from tests.support.fake_keeper import FakeKeeper
from tests.support.running_gateway import Frame, RunningGateway, token


@pytest.fixture
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway looks at once for readers that have stopped reading."""
    monkeypatch.setattr("gateway.sse.LOOKS_EVERY", 0.02)


@asynccontextmanager
async def deaf_stream(gateway: RunningGateway, room: str) -> AsyncGenerator[asyncio.StreamReader]:
    """A room's stream from its beginning, whose reader takes little until it is asked to read."""
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    narrow.setblocking(False)  # noqa: FBT003 - the socket module has it so
    await asyncio.get_running_loop().sock_connect(narrow, ("127.0.0.1", gateway.port))
    reader, writer = await asyncio.open_connection(sock=narrow, limit=2_048)
    try:
        path = f"/api/v1/stream?room={room}&after=0"
        writer.write(f"GET {path} HTTP/1.0\r\nHost: x\r\nAuthorization: Bearer {token()}\r\n\r\n".encode())
        await reader.readuntil(b"event: subscribed")
        yield reader
    finally:
        writer.transport.abort()


async def rest_of(reader: asyncio.StreamReader) -> list[tuple[str, Frame]]:
    """Name and data of all messages up to the stream's end."""
    async with asyncio.timeout(20):
        text = (await reader.read()).decode()
    messages = [dict(line.split(": ", 1) for line in part.splitlines() if ": " in line) for part in text.split("\n\n")]
    return [(message["event"], json.loads(message["data"])) for message in messages if "event" in message]


@pytest.mark.usefixtures("quick_looks")
async def test_a_stream_that_falls_too_far_behind_ends_with_the_place_to_resume(
    gateway: RunningGateway, alice: httpx.AsyncClient, keeper: FakeKeeper
) -> None:
    task_id = await submitted(alice)
    streams = gateway.gateway.streams
    async with deaf_stream(gateway, f"task:{task_id}") as reader:
        for _ in range(24):
            await keeper.enter(task_id, "running", {"text": "x" * 400_000})
        await eventually(lambda: streams.count == 0)
        *shown, (kind, last) = await rest_of(reader)
    cursors = [data["cursor"] for name, data in shown if name.startswith("task.")]
    assert (kind, last) == ("error", {"code": "4408", "detail": cursors[-1]})
    assert cursors == [f"{keeper.epoch}-{seq}" for seq in range(1, len(cursors) + 1)]
    assert len(cursors) < 25


@pytest.mark.usefixtures("quick_looks")
async def test_a_stream_whose_reader_takes_nothing_ends_though_nothing_more_happens(
    gateway: RunningGateway, alice: httpx.AsyncClient, keeper: FakeKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.sse.STALLED_AFTER", 0.2)
    task_id = await submitted(alice)
    for _ in range(24):
        await keeper.enter(task_id, "running", {"text": "x" * 400_000})
    streams = gateway.gateway.streams
    async with deaf_stream(gateway, f"task:{task_id}") as reader:
        await eventually(lambda: streams.count == 0)
        assert (await rest_of(reader))[-1][1]["code"] == "4408"
