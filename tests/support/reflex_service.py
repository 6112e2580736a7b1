"""A reflex service on a real socket that answers as a test tells it to."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import orjson

CLEAN = orjson.dumps({"status": "Success", "pii_detected": False, "injection_detected": False})


@dataclass
class ReflexService:
    """`answers` are (status, body) by turns, the last one repeats; None hangs up, "stall" never answers,
    "trickle" answers a byte at a time without an end.
    """

    port: int = 0
    answers: list[tuple[int, bytes] | str | None] = field(default_factory=lambda: [(200, CLEAN)])
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[bytes] = field(default_factory=list)
    healthy: bool = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request after the other."""
        try:
            while await self._answer(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = [line.lower() for line in head.split(b"\r\n")]
        length = next((int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length")), 0)
        body = await reader.readexactly(length)
        if head.startswith(b"GET /health"):
            return await self._write(writer, 200 if self.healthy else 503, b"{}")
        self.asked.append(head + body)
        answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        if answer == "stall":
            await asyncio.sleep(60)
        if answer == "trickle":
            await self._trickle(writer)
        if not isinstance(answer, tuple):
            return False
        return await self._write(writer, *answer)

    async def _trickle(self, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 X\r\ncontent-length: 1000000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.05)

    async def _write(self, writer: asyncio.StreamWriter, status: int, body: bytes) -> bool:
        more = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\n{more}\r\n".encode() + body)
        await writer.drain()
        return True


@asynccontextmanager
async def reflex_service() -> AsyncGenerator[ReflexService]:
    """Serve on a free port until the block ends."""
    service = ReflexService()
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0)
    service.port = server.sockets[0].getsockname()[1]
    async with server:
        yield service
        server.close()
