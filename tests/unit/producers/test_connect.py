"""The way to NATS: whatever a server says when it comes back, and wherever the next one is, we come back too."""

import asyncio
import contextlib
import gc
import socket
import struct
from base64 import urlsafe_b64encode
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import orjson
import pytest
import uvloop
from nats.aio.client import Client
from pydantic import SecretStr
from structlog.testing import capture_logs

from consumers.app import ConsumerProcess
from producers.connect import BusSettings, ClosedGuard, Connection, connect_options
from producers.sdk.errors import TryAgainError
from producers.sdk.over_nats import NatsTransport
from storage.database import DatabaseSettings
from tests.support.eventually import eventually


@dataclass
class Node:
    """Speaks as much of NATS as a client needs to connect; `refusals` are its answers to the next ones that come,
    `greetings` all that the next ones hear before they are cut.
    """

    tells: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    greetings: list[bytes] = field(default_factory=list)
    came: list[dict[str, object]] = field(default_factory=list)
    open: list[asyncio.StreamWriter] = field(default_factory=list)
    address: str = ""
    serving: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.greetings:
            await _cut_after(self.greetings.pop(), writer)
            return
        info = {"auth_required": True, "headers": True, "max_payload": 1_000_000, "connect_urls": self.tells}
        writer.write(b"INFO " + orjson.dumps(info) + b"\r\n")
        self.open.append(writer)
        self.serving += 1
        while line := await reader.readline():
            if line.startswith(b"CONNECT"):
                self.came.append(orjson.loads(line.partition(b" ")[2]))
                if self.refusals:
                    writer.write(f"-ERR '{self.refusals.pop()}'\r\n".encode())
                    break
            elif line.startswith(b"PING"):
                writer.write(b"PONG\r\n")
        self.open = [one for one in self.open if one is not writer]
        writer.close()
        self.serving -= 1

    def cut(self) -> None:
        """Close every connection."""
        while self.open:
            self.open.pop().close()


async def _cut_after(greeting: bytes, writer: asyncio.StreamWriter) -> None:
    """As a proxy or a server that is killed cuts a line: with a reset, which may be read together with the greeting."""
    writer.write(greeting)
    await asyncio.sleep(0)
    at_once = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
    writer.transport.abort()


@asynccontextmanager
async def listening() -> AsyncGenerator[tuple[Node, asyncio.Server]]:
    node = Node()
    async with await asyncio.start_server(node.serve, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        node.address = f"{host}:{port}"
        try:
            yield node, server
        finally:
            node.cut()
            await eventually(lambda: not node.serving)
            gc.collect()


@asynccontextmanager
async def connected(kind: str, settings: BusSettings) -> AsyncGenerator[Client]:
    """As every process of ours connects, or as a consumer does."""
    if kind == "connection":
        async with Connection(settings, "reflex") as client:
            yield client
        return
    database = DatabaseSettings(database_url=SecretStr("postgresql://nowhere/nothing"))
    process = ConsumerProcess(["reflex"], settings, database)
    client = await process._brokers["reflex"].connect()
    try:
        yield client
    finally:
        process._guard.expected = True
        await client.close()


def known(node: Node) -> BusSettings:
    return BusSettings.model_validate({"nats_url": f"nats://{node.address}", "nats_passwords": {"reflex": "p:s/w@rd"}})


@pytest.mark.parametrize("kind", ["connection", "consumer"])
async def test_a_node_that_the_cluster_told_of_is_given_the_same_credentials(kind: str) -> None:
    async with listening() as (first, server), listening() as (second, _):
        first.tells = [second.address]
        async with connected(kind, known(first)):
            server.close()
            first.cut()
            await eventually(lambda: second.came)
        assert [(one["user"], one["pass"]) for one in second.came] == [("reflex", "p:s/w@rd")]


@pytest.mark.parametrize("kind", ["connection", "consumer"])
async def test_a_server_that_refuses_while_it_comes_back_is_asked_again(kind: str) -> None:
    """And what it refused is closed: an object that is let go of open is an error of the test (`listening`)."""
    async with listening() as (node, _), connected(kind, known(node)) as client:
        node.refusals = ["Authorization Timeout", "Authorization Violation"]
        node.cut()
        await eventually(lambda: len(node.came) == 4 and client.is_connected)


@pytest.mark.parametrize("kind", ["connection", "consumer"])
@pytest.mark.parametrize("greeting", [b'INFO {"headers":true}\r\n', b"INFO\r\n"], ids=["whole", "half"])
def test_a_server_that_is_gone_before_it_was_answered_is_asked_again(kind: str, greeting: bytes) -> None:
    """On uvloop, as every role runs: writing to a socket that was reset raises an error of its own there."""

    async def come_back() -> None:
        async with listening() as (node, _), connected(kind, known(node)) as client:
            node.greetings = [greeting] * 3
            node.cut()
            await eventually(lambda: len(node.came) == 2 and client.is_connected, within=3)
            assert not node.greetings

    uvloop.run(come_back())


def test_a_server_that_reads_no_more_is_left_with_what_it_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that vanished acknowledges nothing: the kernel would go on sending to it for a quarter of an hour."""
    monkeypatch.setattr("producers.connect._PING_INTERVAL", 0.05)

    async def come_back() -> None:
        async with listening() as (node, _), connected("connection", known(node)) as client:
            node.open[0].transport.pause_reading()  # type: ignore[attr-defined]  # it is a ReadTransport, too
            async with asyncio.TaskGroup() as publishing:
                sent = [publishing.create_task(client.publish("much", b"x" * 900_000)) for _ in range(20)]
                await eventually(lambda: len(node.came) == 2 and client.is_connected, within=4)
                for one in sent:
                    one.cancel()

    uvloop.run(come_back())


def test_a_server_that_is_gone_before_it_was_answered_stops_nobody_who_starts() -> None:
    async def come() -> None:
        async with listening() as (node, _):
            node.greetings = [b'INFO {"headers":true}\r\n'] * 3
            async with asyncio.timeout(20), connected("connection", known(node)) as client:
                assert client.is_connected

    uvloop.run(come())


async def test_a_client_that_is_closed_tries_no_more_though_a_try_swallowed_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As Python 3.11's `wait_for` does, in which nats-py waits for a socket; the process would never end."""
    tries = 0

    async def swallowing(_: Client, __: object) -> None:
        nonlocal tries
        tries += 1
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        raise ConnectionRefusedError

    async with listening() as (node, _):
        async with connected("connection", known(node)) as client:
            monkeypatch.setattr(Client, "_connect_to_server", swallowing)
            node.cut()
            await eventually(lambda: tries)
        trying = client._reconnection_task
        assert trying is not None
        await eventually(trying.done, within=3)
        assert tries == 1


async def test_the_sdk_closes_what_a_server_refused() -> None:
    token = ".".join(["e30", urlsafe_b64encode(b'{"tenant": "t", "sub": "o"}').decode(), "x"])
    async with listening() as (node, _):
        node.refusals = ["Authorization Violation"]
        with pytest.raises(TryAgainError):
            await NatsTransport(f"nats://{node.address}", token).send({"type": "io.ganglion.task.submitted.v1"}, 5)
        assert len(node.came) == 1


async def test_an_outage_is_told_when_it_begins_and_ends_and_not_at_every_try() -> None:
    options = connect_options("reflex", ClosedGuard())
    with capture_logs() as said:
        await options["disconnected_cb"]()
        for _ in range(500):
            await options["error_cb"](ConnectionRefusedError(111, "Connection refused"))
        await options["reconnected_cb"]()
        await options["error_cb"](ConnectionRefusedError(111, "Connection refused"))
    assert [line["event"] for line in said] == ["nats_disconnected", "nats_error", "nats_reconnected", "nats_error"]
    assert {line["connection"] for line in said} == {"reflex"}


async def test_a_server_that_is_not_there_yet_is_told_of_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    options = connect_options("reflex", ClosedGuard())
    with capture_logs() as said:
        for _ in range(500):
            await options["error_cb"](ConnectionRefusedError(111, "Connection refused"))
        monkeypatch.setattr("producers.connect._AGAIN_AFTER", 0.0)
        await options["error_cb"](ConnectionRefusedError(111, "Connection refused"))
    assert [line["event"] for line in said] == ["nats_error", "nats_error"]
