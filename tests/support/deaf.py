"""A client that asks for a stream and then takes little of it until it is told to read."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from tests.support.running_gateway import Frame, token


@asynccontextmanager
async def deaf_reader(
    port: int, request: str, until: bytes, *, owner: str = "alice", body: bytes = b""
) -> AsyncGenerator[asyncio.StreamReader]:
    """Ask with this owner's token (`GET /path`), and read no further than to these bytes."""
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    narrow.setblocking(False)  # noqa: FBT003 - the socket module has it so
    await asyncio.get_running_loop().sock_connect(narrow, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=narrow, limit=2_048)
    head = f"{request} HTTP/1.0\r\nHost: x\r\nAuthorization: Bearer {token(owner)}\r\nAccept: text/event-stream\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    try:
        writer.write(f"{head}\r\n".encode() + body)
        await reader.readuntil(until)
        yield reader
    finally:
        writer.transport.abort()


async def rest_of(reader: asyncio.StreamReader) -> list[tuple[str, Frame]]:
    """Name and data of all messages up to the stream's end."""
    async with asyncio.timeout(20):
        text = (await reader.read()).decode()
    messages = [dict(line.split(": ", 1) for line in part.splitlines() if ": " in line) for part in text.split("\n\n")]
    return [(message["event"], json.loads(message["data"])) for message in messages if "event" in message]
