"""An OpenAI-compatible server that says back the outline it is given, as slowly as a test wants."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.support.eventually import eventually


class StubModel:
    """`asked` counts requests; after `free` of them it waits for `gate`; `fails` is a status to answer instead."""

    def __init__(self) -> None:
        self.port = 0
        self.asked = 0
        self.free = 1_000
        self.gate = asyncio.Event()
        self.fails: int | None = None
        self.leaves_out = ""
        self.tokens = 12

    def reset(self) -> None:
        """As new; who waits is let go first."""
        self.gate.set()
        self.asked, self.free, self.fails, self.leaves_out, self.tokens = 0, 1_000, None, "", 12
        self.gate = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def complete(self, request: Request) -> Response:
        self.asked += 1
        if self.fails is not None:
            return JSONResponse({"error": {"message": "no"}}, self.fails)
        content = (await request.json())["messages"][-1]["content"]
        outline = content.partition("--- outline ---\n")[2].rpartition("\n--- end ---")[0]
        if self.asked > self.free:
            gate = self.gate
            await gate.wait()
        text = (
            "A model said:\n\n" + outline.replace(self.leaves_out, "")
            if self.leaves_out
            else "A model said:\n\n" + outline
        )
        return StreamingResponse(_pieces(text, self.tokens), media_type="text/event-stream")


async def _pieces(text: str, tokens: int) -> AsyncIterator[bytes]:
    for start in range(0, len(text), 40):
        yield _event({"choices": [{"index": 0, "delta": {"content": text[start : start + 40]}}]})
    yield _event(
        {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": tokens - 5, "total_tokens": tokens}}
    )
    yield b"data: [DONE]\n\n"


def _event(part: dict[str, object]) -> bytes:
    whole = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "stub"} | part
    return b"data: " + orjson.dumps(whole) + b"\n\n"


@asynccontextmanager
async def stub_model() -> AsyncGenerator[StubModel]:
    """Serve until the block ends."""
    model = StubModel()
    app = Starlette(routes=[Route("/v1/chat/completions", model.complete, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", timeout_graceful_shutdown=1))
    serving = asyncio.create_task(server.serve())
    try:
        await eventually(lambda: server.started)
        model.port = server.servers[0].sockets[0].getsockname()[1]
        yield model
    finally:
        model.gate.set()
        server.should_exit = True
        await serving
