"""Many WebSocket listeners in one process, as lean as can be: they count event frames and note how old each is."""

import asyncio
import base64
import secrets
from collections.abc import Callable
from time import perf_counter
from typing import cast

_HEAD_END = b"\r\n\r\n"
_AT_ONCE = 100


class Listener(asyncio.Protocol):
    """One socket. Reads unfragmented frames without extensions; a frame that begins with `prefix` is an event."""

    def __init__(self, crowd: "Crowd") -> None:
        self._crowd = crowd
        self._buffer = b""
        self._seen = 0
        self.transport: asyncio.Transport | None = None
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.is_open = False
        self.told: bytes = b""
        """The payload of the last frame that was no event."""
        self.closed: tuple[int, bytes] | None = None
        """Close code and reason, once the server has said so."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport (asyncio.Protocol)."""
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it out (asyncio.Protocol)."""
        self.is_open = False
        self.transport = None
        if not self.opened.done():
            self.opened.set_exception(ConnectionError(str(exc)))

    def data_received(self, data: bytes) -> None:
        """Take the handshake's answer, then frames (asyncio.Protocol)."""
        buffer = self._buffer + data if self._buffer else data
        if not self.is_open:
            head, found, buffer = buffer.partition(_HEAD_END)
            if not found:
                self._buffer = head
                return
            if b" 101 " not in head[:40]:
                self.opened.set_exception(ConnectionError(head[:60].decode()))
                return
            self.is_open = True
            self.opened.set_result(None)
        self._buffer = self._read(buffer, perf_counter())

    def send(self, text: bytes) -> None:
        """Send one small text frame, masked with zeros (RFC 6455, 5.3)."""
        if self.transport is not None:
            length = bytes([0x80 | len(text)]) if len(text) < 126 else bytes([0xFE]) + len(text).to_bytes(2, "big")
            self.transport.write(b"\x81" + length + bytes(4) + text)

    def _read(self, buffer: bytes, now: float) -> bytes:
        place, prefix, end = 0, self._crowd.prefix, len(buffer)
        while end - place >= 2:
            size, start = buffer[place + 1], place + 2
            if size == 126:
                size, start = int.from_bytes(buffer[place + 2 : place + 4], "big"), place + 4
            elif size == 127:
                size, start = int.from_bytes(buffer[place + 2 : place + 10], "big"), place + 10
            if start + size > end:
                break
            if buffer.startswith(prefix, start):
                self._crowd.arrived(self._seen, now)
                self._seen += 1
            elif buffer[place] == 0x88:
                self.closed = (int.from_bytes(buffer[start : start + 2], "big"), buffer[start + 2 : start + size])
            elif buffer[place] == 0x89:  # a ping: the answer keeps the connection
                if self.transport is not None:
                    self.transport.write(bytes([0x8A, 0x80 | size]) + bytes(4) + buffer[start : start + size])
            else:
                self.told = buffer[start : start + size]
            place = start + size
        return buffer[place:]


class Crowd:
    """So many listeners to one address. `sent[i]` is when the i-th event was sent; `seconds` how old each came."""

    def __init__(self, prefix: bytes) -> None:
        self.prefix = prefix
        self.listeners: list[Listener] = []
        self.sent: list[float] = []
        self.seconds: list[float] = []
        self.last = 0.0
        self._missing = 0
        self._complete = asyncio.Event()

    async def connect(self, host: str, port: int, path: str, count: int, headers: str = "") -> None:
        """Open so many more sockets, a hundred at a time."""
        loop = asyncio.get_running_loop()
        for first in range(0, count, _AT_ONCE):
            batch = []
            for _ in range(min(_AT_ONCE, count - first)):
                transport, listener = await loop.create_connection(lambda: Listener(self), host, port)
                transport.write(_handshake(host, port, path, headers))
                batch.append(listener)
            await asyncio.gather(*(listener.opened for listener in batch))
            self.listeners += batch

    async def until(self, check: Callable[[Listener], bool], within: float = 30.0) -> None:
        """Wait until it is true of every listener."""
        async with asyncio.timeout(within):
            while not all(check(listener) for listener in self.listeners):  # noqa: ASYNC110 - a benchmark's set-up
                await asyncio.sleep(0.02)

    def expect(self, events: int) -> None:
        """From now on, so many events for each listener."""
        self._missing = events * len(self.listeners)
        self._complete.clear()

    async def complete(self, within: float) -> None:
        """Wait until everybody has everything."""
        async with asyncio.timeout(within):
            await self._complete.wait()

    def arrived(self, number: int, now: float) -> None:
        """A listener got its next event."""
        if number < len(self.sent):
            self.seconds.append(now - self.sent[number])
        self.last = now
        self._missing -= 1
        if self._missing == 0:
            self._complete.set()

    def close(self) -> None:
        """Hang up."""
        for listener in self.listeners:
            if listener.transport is not None:
                listener.transport.abort()


def _handshake(host: str, port: int, path: str, headers: str) -> bytes:
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    return (
        f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{headers}\r\n"
    ).encode()
