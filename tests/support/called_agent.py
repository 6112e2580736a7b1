"""Somebody else's agent that is called: a small HTTP server that knows nothing of ours but the protocol."""

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from pydantic import JsonValue

Json = dict[str, JsonValue]


@dataclass(frozen=True)
class Called:
    """One request as it came."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def task(self) -> Json:
        said: Json = json.loads(self.body)
        return said


@dataclass(frozen=True)
class Reply:
    """What is answered, byte for byte; None in place of it hangs up."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)


Answering = Callable[[Called], Awaitable[Reply | None]]


def completed(called: Called, **more: JsonValue) -> Reply:
    """The task is done."""
    said = {"task_id": called.task["task_id"], "status": "completed", "output_data": {"text": "done"}, **more}
    return Reply(body=json.dumps(said).encode())


class CalledAgent:
    """`calls` are all that came; `dropped` counts callers who hung up before they were answered."""

    def __init__(self, answering: Answering) -> None:
        self.answering = answering
        self.calls: list[Called] = []
        self.dropped = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            called = await _read(reader)
            self.calls.append(called)
            reply = await self._unless_dropped(called, reader)
            if reply is not None:
                writer.write(_written(reply))
                await writer.drain()
        with suppress(ConnectionError, ssl.SSLError):
            writer.close()
            await writer.wait_closed()

    async def _unless_dropped(self, called: Called, reader: asyncio.StreamReader) -> Reply | None:
        answering = asyncio.ensure_future(self.answering(called))
        gone = asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait({answering, gone}, return_when=asyncio.FIRST_COMPLETED)
            if answering.done():
                return answering.result()
            self.dropped += 1
            return None
        finally:
            answering.cancel()
            gone.cancel()
            await asyncio.gather(answering, gone, return_exceptions=True)


@asynccontextmanager
async def called_agent(answering: Answering, *, tls: ssl.SSLContext | None = None) -> AsyncGenerator[CalledAgent]:
    """An agent on a free port of this machine."""
    agent = CalledAgent(answering)
    server = await asyncio.start_server(agent.serve, "127.0.0.1", 0, ssl=tls)
    agent.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield agent
    finally:
        server.close()


async def _read(reader: asyncio.StreamReader) -> Called:
    line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
    pairs = [one.partition(":")[::2] for one in lines if one]
    headers = {name.lower(): value.strip() for name, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Called(line.split(" ")[1], headers, body)


def _written(reply: Reply) -> bytes:
    headers = {"content-length": str(len(reply.body)), "connection": "close", **reply.headers}
    lines = [f"HTTP/1.1 {reply.status} So", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + reply.body
