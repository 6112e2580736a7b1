"""A server that speaks the chat completions protocol over plain sockets, and breaks it in the ways a test asks for."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from pydantic import JsonValue


@dataclass(frozen=True)
class Says:
    """A streamed answer. `cut` closes the connection after the words, `hangs` keeps it open and says nothing more."""

    words: Sequence[str] = ("Hello", " there", ".")
    end: str | None = "stop"
    usage: tuple[int, int] | None = (12, 3)
    cut: bool = False
    hangs: bool = False


@dataclass(frozen=True)
class Refuses:
    """An error status."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: str = '{"error": {"message": "secret details"}}'


@dataclass(frozen=True)
class Sends:
    """Any bytes, and then the end of the connection."""

    answer: bytes


Behaviour = Says | Refuses | Sends


@dataclass
class ModelServer:
    """Behaves as `next` says, request by request, and like its last entry from then on."""

    next: deque[Behaviour] = field(default_factory=deque)
    asked: list[dict[str, JsonValue]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    gone: int = 0
    port: int = 0
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def will(self, *behaviours: Behaviour) -> None:
        self.next = deque(behaviours)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while await self._serve_one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            self.gone += 1
        finally:
            self._open.discard(writer)
            writer.close()

    def hang_up(self) -> None:
        """Close all that is open."""
        for writer in list(self._open):
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        request, *lines = head.strip().split("\r\n")
        assert request.startswith("POST /v1/chat/completions "), request
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await reader.readexactly(int(headers["content-length"]))
        self.headers.append(headers)
        self.asked.append(json.loads(body))
        behaviour = self.next.popleft() if len(self.next) > 1 else self.next[0]
        match behaviour:
            case Says():
                return await self._say(behaviour, reader, writer)
            case Refuses(status, more, text):
                told = "".join(f"{name}: {value}\r\n" for name, value in more.items())
                writer.write(
                    f"HTTP/1.1 {status} No\r\ncontent-type: application/json\r\n{told}"
                    f"content-length: {len(text)}\r\n\r\n{text}".encode()
                )
                await writer.drain()
                return True
            case Sends(answer):
                writer.write(answer)
                await writer.drain()
                return False

    async def _say(self, says: Says, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        for word in says.words:
            await _chunk(writer, {"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]})
        if says.hangs:
            await reader.read()  # until the client hangs up
            self.gone += 1
            return False
        if says.cut:
            return False
        if says.end:
            await _chunk(writer, {"choices": [{"index": 0, "delta": {}, "finish_reason": says.end}]})
        if says.usage:
            prompt, answer = says.usage
            await _chunk(writer, {"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": answer}})
        await _chunk(writer, "[DONE]")
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True


async def _chunk(writer: asyncio.StreamWriter, data: JsonValue) -> None:
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    body = f"data: {text}\n\n".encode()
    writer.write(f"{len(body):x}\r\n".encode() + body + b"\r\n")
    await writer.drain()


@asynccontextmanager
async def model_server(*behaviours: Behaviour) -> AsyncGenerator[ModelServer]:
    """On a free port, until the block ends."""
    model = ModelServer()
    model.will(*behaviours)
    server = await asyncio.start_server(model.serve, "127.0.0.1", 0)
    model.port = server.sockets[0].getsockname()[1]
    try:
        yield model
    finally:
        server.close()
        model.hang_up()
