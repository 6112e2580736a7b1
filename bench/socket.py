"""A WebSocket listener as lean as the load client: it reads text frames and hands their bytes on.

A subscriber of the `tasks` room sees about ten frames per task; a full client library would take a share of the two
cores that the measured processes need. Reads unfragmented server frames without extensions (RFC 6455, 5.2).
"""

import asyncio
import base64
import secrets
import struct
from collections.abc import Callable
from typing import cast

_TEXT, _CLOSE, _PING, _PONG = 0x1, 0x8, 0x9, 0xA


class HandshakeError(Exception):
    """The server did not switch protocols."""


class SocketListener(asyncio.Protocol):
    """Calls `on_frame(bytes)` for each text frame; open it with `SocketListener.open(...)`."""

    def __init__(self, on_frame: Callable[[bytes], None]) -> None:
        self._on_frame = on_frame
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the server has switched protocols."""
        self.closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Done when the socket ends; the result says how."""

    @classmethod
    async def open(cls, host: str, port: int, token: str, on_frame: Callable[[bytes], None]) -> "SocketListener":
        """Connect to `/ws` with the token in the Authorization header; raises HandshakeError."""
        loop = asyncio.get_running_loop()
        transport, listener = await loop.create_connection(lambda: cls(on_frame), host, port)
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        transport.write(
            f"GET /ws HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {token}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        await listener.opened
        return listener

    def send(self, text: bytes) -> None:
        """Send one text frame."""
        self._write(_TEXT, text)

    def close(self) -> None:
        """Say goodbye and hang up."""
        if self._transport is not None:
            self._write(_CLOSE, struct.pack(">H", 1000))
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport (asyncio.Protocol)."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits (asyncio.Protocol)."""
        self._transport = None
        if not self.opened.done():
            self.opened.set_exception(HandshakeError(f"the connection was closed: {exc}"))
        if not self.closed.done():
            self.closed.set_result(f"connection lost: {exc}")

    def data_received(self, data: bytes) -> None:
        """Take the handshake's answer, then frames (asyncio.Protocol)."""
        self._buffer = self._buffer + data if self._buffer else data
        if not self.opened.done():
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            status = head.split(b" ", 2)[1]
            if status != b"101":
                self.opened.set_exception(HandshakeError(f"the server answered {status.decode()}"))
                return
            self.opened.set_result(None)
            self._buffer = rest
        self._read_frames()

    def _read_frames(self) -> None:
        buffer, place = self._buffer, 0
        while (frame := _frame_at(buffer, place)) is not None:
            opcode, start, place = frame
            payload = buffer[start:place]
            if opcode == _TEXT:
                self._on_frame(payload)
            elif opcode == _PING:
                self._write(_PONG, payload)
            elif opcode == _CLOSE and not self.closed.done():
                code = struct.unpack(">H", payload[:2])[0] if payload else 1005
                self.closed.set_result(f"closed by the server: {code} {payload[2:].decode(errors='replace')}")
                self.close()
        self._buffer = buffer[place:]

    def _write(self, opcode: int, payload: bytes) -> None:
        """Client frames are masked; a mask of zeros leaves the bytes as they are (5.3)."""
        if self._transport is None:
            return
        size = len(payload)
        if size < 126:
            length = bytes([0x80 | size])
        else:
            length = struct.pack(">BH", 0x80 | 126, size) if size < 65_536 else struct.pack(">BQ", 0x80 | 127, size)
        self._transport.write(bytes([0x80 | opcode]) + length + bytes(4) + payload)


def _frame_at(buffer: bytes, place: int) -> tuple[int, int, int] | None:
    """Opcode, start and end of the payload of the frame at `place`; None when it is not complete yet."""
    available = len(buffer) - place
    if available < 2:
        return None
    size, start = buffer[place + 1], place + 2
    if size == 126:
        if available < 4:
            return None
        size, start = int.from_bytes(buffer[place + 2 : place + 4], "big"), place + 4
    elif size == 127:
        if available < 10:
            return None
        size, start = int.from_bytes(buffer[place + 2 : place + 10], "big"), place + 10
    end = start + size
    return (buffer[place] & 0x0F, start, end) if end <= len(buffer) else None
