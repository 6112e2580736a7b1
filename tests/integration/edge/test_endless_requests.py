"""Requests without an end: they hold neither memory nor a connection for long, and break nothing."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
import pytest
from structlog.testing import capture_logs

from gateway.http import bodies
from gateway.http.protocol import MAX_HEAD
from tests.support.eventually import PATIENCE, eventually
from tests.support.raw_frames import TEXT, TOO_BIG, close_code, frame
from tests.support.running_gateway import RunningGateway, token

pytestmark = pytest.mark.asyncio(loop_scope="module")

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
BEGINNING = b"GET /livez HTTP/1.1\r\nHost: gateway\r\n"


@asynccontextmanager
async def connection(gateway: RunningGateway) -> AsyncGenerator[Stream]:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def answer(reader: asyncio.StreamReader) -> tuple[int, str]:
    """Status and code of the one answer before the connection's end."""
    async with asyncio.timeout(10 * PATIENCE):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head.lower(), head
    return int(head.split()[1]), str(json.loads(body)["code"])


@pytest.mark.parametrize("more", [b"X-More: " + b"x" * 1_000 + b"\r\n", b"x" * 1_000], ids=["headers", "one"])
async def test_a_head_without_an_end_is_refused(gateway: RunningGateway, more: bytes) -> None:
    async with connection(gateway) as (reader, writer):
        writer.write(BEGINNING + b"X-First: ")
        for _ in range(MAX_HEAD // len(more) + 300):  # the server takes 256 KiB at a time
            writer.write(more)
        await writer.drain()
        assert await answer(reader) == (431, "headers_too_large")


async def test_a_large_head_is_refused_even_if_it_comes_at_once(gateway: RunningGateway) -> None:
    async with connection(gateway) as (reader, writer):
        writer.write(BEGINNING + b"X-Large: " + b"x" * MAX_HEAD + b"\r\n\r\n")
        assert await answer(reader) == (431, "headers_too_large")


async def test_a_head_that_is_large_and_not_too_large_is_taken(gateway: RunningGateway) -> None:
    async with connection(gateway) as (reader, writer):
        for _ in range(2):  # on one connection
            writer.write(BEGINNING + b"X-Large: " + b"x" * (MAX_HEAD - 200) + b"\r\n\r\n")
            assert await asyncio.wait_for(reader.readline(), 10 * PATIENCE) == b"HTTP/1.1 200 OK\r\n"
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(len(b'{"status":"ok"}'))


async def test_what_is_no_http_is_told_so_like_any_other_fault(gateway: RunningGateway) -> None:
    async with connection(gateway) as (reader, writer):
        writer.write(b"HELLO\r\n\r\n")
        assert await answer(reader) == (400, "bad_request")


OPENING = (
    b"%s /ws HTTP/1.1\r\nHost: gateway\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n"
)


@pytest.mark.parametrize(
    ("opening", "told"),
    [
        (OPENING % (b"POST", b"Content-Length: 2\r\n") + b"{}", (400, "bad_request")),
        (OPENING % (b"GET", b"Transfer-Encoding: chunked\r\n") + b"0\r\n\r\n", (400, "bad_request")),
        (OPENING % (b"GET", b"X-Large: " + b"x" * 10_000 + b"\r\n"), (431, "headers_too_large")),
        (OPENING % (b"GET", b"X-More: x\r\n" * 200), (431, "headers_too_large")),
    ],
    ids=["posted", "with a body", "a large line", "many lines"],
)
async def test_what_opens_no_socket_is_told_so_and_let_go(
    gateway: RunningGateway, opening: bytes, told: tuple[int, str]
) -> None:
    async with connection(gateway) as (reader, writer):
        writer.write(opening)
        assert await answer(reader) == told


@pytest.mark.parametrize("sent", [b"", b"\r\n", BEGINNING], ids=["nothing", "a line", "half a head"])
async def test_who_sends_on_nothing_is_let_go(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr("gateway.http.protocol.HEAD_WITHIN", 0.2)
    async with connection(gateway) as (reader, writer):
        writer.write(sent)
        async with asyncio.timeout(10 * PATIENCE):
            await reader.read()  # to the end


@pytest.mark.parametrize("path", ["/api/v1/tasks", "/api/v1/tasks/{}/cancel"])
async def test_who_hangs_up_in_the_middle_of_a_body_is_no_fault_of_ours(
    gateway: RunningGateway, alice: httpx.AsyncClient, path: str
) -> None:
    task_id = (await alice.post("/api/v1/tasks", json={"prompt": "Wait."})).json()["task_id"]
    head = f"POST {path.format(task_id)} HTTP/1.1\r\nAuthorization: Bearer {token()}\r\n"
    with capture_logs() as logged:
        async with connection(gateway) as (_, writer):
            writer.write(f"{head}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{".encode())
            await writer.drain()
        await eventually(lambda: _counted(alice, "400"))
    assert [entry for entry in logged if entry["log_level"] == "error"] == []


async def _counted(client: httpx.AsyncClient, status: str) -> bool:
    return f'status="{status}"' in (await client.get("/metrics")).text


async def test_who_waits_for_an_answer_or_is_subscribed_is_not(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.http.protocol.HEAD_WITHIN", 0.2)
    async with gateway.client() as alice, gateway.socket() as socket:
        await socket.until("hello")
        waited = await alice.post("/api/v1/tasks", json={"prompt": "Wait."}, headers={"Prefer": "wait=1"})
        assert waited.status_code == 202
        await socket.send(type="ping")
        assert (await socket.until("pong"))[-1]["type"] == "pong"


@pytest.mark.parametrize("path", ["/api/v1/tasks", "/api/v1/sessions", "/api/v1/events"])
async def test_a_body_that_trickles_without_an_end_is_refused(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(bodies, "BODY_WITHIN", 0.5)
    async with connection(gateway) as (reader, writer):
        kind = "application/cloudevents+json" if path.endswith("events") else "application/json"
        head = f"POST {path} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token()}\r\n"
        writer.write(f"{head}Content-Type: {kind}\r\nContent-Length: 100000\r\n\r\n{{".encode())
        answering = asyncio.create_task(reader.readuntil(b"\r\n\r\n"))
        async with asyncio.timeout(10 * PATIENCE):
            while not answering.done():
                writer.write(b" ")
                await asyncio.wait({answering}, timeout=0.05)
        size = re.search(rb"content-length: (\d+)", answering.result())
        assert answering.result().startswith(b"HTTP/1.1 408 "), answering.result()
        assert size is not None
        problem = json.loads(await reader.readexactly(int(size[1])))
        assert (problem["code"], problem["status"], problem["retryable"]) == ("request_timeout", 408, True)


async def test_every_route_that_reads_a_body_documents_that_it_may_come_too_slowly(gateway: RunningGateway) -> None:
    async with gateway.client() as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
    answers = [operation["responses"] for path in paths.values() for operation in path.values()]
    assert sum("408" in each for each in answers) > 20
    assert all(("408" in each) == ("413" in each) for each in answers)


async def test_who_goes_on_sending_after_a_fault_hears_what_it_was(gateway: RunningGateway) -> None:
    async with connection(gateway) as (reader, writer):
        writer.write(b"HELLO\r\n\r\n")
        await _sends_on(writer, b"HELLO\r\n")
        assert await answer(reader) == (400, "bad_request")


async def test_who_goes_on_with_a_message_that_is_too_large_hears_it_and_is_let_go(gateway: RunningGateway) -> None:
    async with connection(gateway) as (reader, writer):
        writer.write(
            b"GET /ws HTTP/1.1\r\nHost: gateway\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            + f"Authorization: Bearer {token()}\r\n\r\n".encode()
        )
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10 * PATIENCE)
        writer.write(frame(TEXT, b" " * 1_000_000)[:1_000])
        await _sends_on(writer, b" " * 1_000)
        assert await asyncio.wait_for(close_code(reader), 10 * PATIENCE) == TOO_BIG
        await eventually(lambda: not gateway.server.server_state.connections)


async def _sends_on(writer: asyncio.StreamWriter, more: bytes) -> None:
    """A little at a time, for longer than a busy machine stops; it reads nothing meanwhile."""
    loop = asyncio.get_running_loop()
    until = loop.time() + 2.5
    nothing = loop.create_future()
    while loop.time() < until:
        writer.write(more)
        await asyncio.wait({nothing}, timeout=0.05)
