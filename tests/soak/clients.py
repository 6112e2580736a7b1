"""Subscribers that come, drop out without a word and come back elsewhere, over WebSocket and SSE in turn."""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from urllib.parse import quote

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.soak.record import Frame, Record

Ports = Callable[[], list[int]]
"""Where gateways listen, whether they live or not."""

_AWAY = (ConnectionClosed, InvalidHandshake, OSError, TimeoutError, EOFError, asyncio.IncompleteReadError)
_CONNECT_WITHIN = 5.0


class Wanderer:
    """One subscriber with one record. It stays `stay` seconds on the average, then drops out and comes back."""

    def __init__(self, record: Record, token: str, ports: Ports, dice: random.Random, *, stay: float) -> None:
        self.record = record
        self._token = token
        self._ports = ports
        self._dice = dice
        self._stay = stay
        self._settled = asyncio.Event()
        self.refused: list[str] = []

    def settle(self) -> None:
        """Drop out no more: the last connection stays."""
        self._settled.set()

    async def run(self) -> None:
        """Until cancelled, or until the room's task has ended."""
        while not self.record.ended:
            way = self._dice.choice((self._over_websocket, self._over_http))
            with contextlib.suppress(*_AWAY):
                await self._for_a_while(way)
            await asyncio.sleep(self._dice.uniform(0, 1))

    async def _for_a_while(self, way: "Way") -> None:
        patience = self._dice.expovariate(1 / self._stay)
        async with way(self._dice.choice(self._ports())) as frames:
            self.record.connected()
            reading = asyncio.create_task(self._read(frames))
            leaving = asyncio.create_task(self._leave_after(patience))
            try:
                await asyncio.wait((reading, leaving), return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (reading, leaving):
                    task.cancel()
                await asyncio.gather(reading, leaving, return_exceptions=True)

    async def _leave_after(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._settled.wait()
                await asyncio.Event().wait()

    async def _read(self, frames: AsyncGenerator[Frame]) -> None:
        async for frame in frames:
            if frame["type"] == "error":
                self.refused.append(str(frame["code"]))
                return
            self.record.take(frame)
            if self.record.ended:
                return

    @asynccontextmanager
    async def _over_websocket(self, port: int) -> AsyncGenerator[AsyncGenerator[Frame]]:
        headers = {"Authorization": f"Bearer {self._token}"}
        socket = await connect(
            f"ws://127.0.0.1:{port}/ws", additional_headers=headers, proxy=None, open_timeout=_CONNECT_WITHIN
        )
        try:
            wanted = {"type": "subscribe", "id": "it", "room": self.record.room, "after": self.record.after}
            await socket.send(json.dumps(wanted))

            async def frames() -> AsyncGenerator[Frame]:
                async for text in socket:
                    yield json.loads(text)

            yield frames()
        finally:
            socket.transport.abort()

    @asynccontextmanager
    async def _over_http(self, port: int) -> AsyncGenerator[AsyncGenerator[Frame]]:
        """HTTP/1.0, so that the body comes as it is, without chunks."""
        async with asyncio.timeout(_CONNECT_WITHIN):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**21)
        try:
            path = f"/api/v1/stream?room={quote(self.record.room)}"
            writer.write(
                f"GET {path} HTTP/1.0\r\nHost: x\r\nAuthorization: Bearer {self._token}\r\n"
                f"Last-Event-ID: {self.record.after}\r\n\r\n".encode()
            )
            async with asyncio.timeout(_CONNECT_WITHIN):
                head = await reader.readuntil(b"\r\n\r\n")
            if b" 200 " not in head[:20]:
                raise ConnectionRefusedError(head[:40])
            yield _messages(reader)
        finally:
            writer.transport.abort()


Way = Callable[[int], contextlib.AbstractAsyncContextManager[AsyncGenerator[Frame]]]


async def _messages(reader: asyncio.StreamReader) -> AsyncGenerator[Frame]:
    """The stream's messages in the words of /ws."""
    kind = data = ""
    async for line in reader:
        text = line.decode().rstrip("\n")
        name, _, value = text.partition(": ")
        if name == "event":
            kind = value
        elif name == "data":
            data = value
        elif not text and data:
            yield _framed(kind, json.loads(data))
            kind = data = ""


def _framed(kind: str, data: Frame) -> Frame:
    if kind == "run.delta":
        return {"type": "delta", **data}
    return {"type": "event" if "." in kind else kind, **data}
