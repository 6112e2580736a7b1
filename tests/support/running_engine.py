"""Spec engines on free ports: in the test's process, or in one of their own to kill and start again."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NotRequired

import httpx
import uvicorn
from pydantic import JsonValue
from typing_extensions import TypedDict
from websockets.asyncio.client import ClientConnection, connect

from deploy.local.ports import free_port
from engine.app import create_app
from engine.author import Author
from engine.settings import EngineSettings
from engine.state import File
from events.spans import Spans
from tests.support.eventually import eventually
from tests.support.plain import PLAIN

TOKEN = "a-service-token-of-the-tests"
ROOT = Path(__file__).parents[2]

Frame = dict[str, Any]  # what a stranger's JSON holds


class EngineState(TypedDict):
    """The answer of `/state/{thread_id}`."""

    thread_id: str
    status: str
    generated_files: dict[str, File]
    result: NotRequired[dict[str, JsonValue]]
    error: NotRequired[dict[str, JsonValue]]


class EngineAddress:
    """Where a spec engine listens, and clients that speak its contract."""

    def __init__(self, port: int, prefix: str = "/spec-engine") -> None:
        self.port = port
        self.prefix = prefix

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, token: str = TOKEN) -> httpx.AsyncClient:
        """An HTTP client at the prefix, with the service token or another one ("" for none)."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.AsyncClient(
            base_url=self.url + self.prefix, headers=headers, timeout=20, trust_env=False, verify=PLAIN
        )

    @asynccontextmanager
    async def stream(self, thread_id: str, token: str = TOKEN) -> AsyncGenerator[ClientConnection]:
        """The socket of a thread."""
        url = f"ws://127.0.0.1:{self.port}{self.prefix}/stream/{thread_id}"
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with connect(url, additional_headers=headers, proxy=None, max_size=2**24) as socket:
            yield socket

    async def frames(self, thread_id: str, within: float = 60) -> list[Frame]:
        """All frames of a thread from now to its end."""
        async with asyncio.timeout(within), self.stream(thread_id) as socket:
            return [json.loads(text) async for text in socket]

    async def invoke(self, thread_id: str, instructions: str = "Greet users by name.", **payload: JsonValue) -> str:
        """Start a thread that must be taken; returns the answer's status."""
        async with self.client() as client:
            answer = await client.post("/invoke", json=job(thread_id, instructions, **payload))
            assert answer.status_code == httpx.codes.OK, answer.text
            return str(answer.json()["status"])

    async def ended(self, thread_id: str, within: float = 60) -> EngineState:
        """The state of a thread that does not run any more."""
        async with self.client() as client:

            async def state() -> EngineState | None:
                answer = await client.get(f"/state/{thread_id}")
                if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
                    return None
                said: EngineState = answer.json()
                return said if said["status"] != "running" else None

            found = await eventually(state, within=within)
            assert found is not None
            return found


class RunningEngine(EngineAddress):
    """An engine as its own process; `kill` and `start` work on the same port and database."""

    def __init__(self, database_url: str, environment: Mapping[str, str], prefix: str) -> None:
        super().__init__(free_port(), prefix)
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("LLM_", "SPEC_ENGINE_"))},
            "DATABASE_URL": database_url,
            "SPEC_ENGINE_TOKEN": TOKEN,
            "SPEC_ENGINE_PORT": str(self.port),
            "SPEC_ENGINE_PREFIX": prefix,
            **environment,
        }
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it and wait until it answers."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "engine", cwd=ROOT, env=self._environment
        )
        async with self.client() as client:
            await eventually(lambda: _answers(client), within=60)

    async def ready(self) -> None:
        """Wait until it is ready too."""
        async with self.client() as client:
            await eventually(lambda: _is_ready(client), within=60)

    async def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal that ends it, and wait for that; harmless when it has ended."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)
            await asyncio.wait_for(self._process.wait(), 20)


@asynccontextmanager
async def running_engine(
    database_url: str, *, prefix: str = "/spec-engine", **environment: str
) -> AsyncGenerator[RunningEngine]:
    """A ready engine until the block ends."""
    engine = RunningEngine(database_url, environment, prefix)
    try:
        await engine.start()
        await engine.ready()
        yield engine
    finally:
        await engine.kill()


@asynccontextmanager
async def local_engine(
    database_url: str, author: Author, *, spans: Spans | None = None, **settings: object
) -> AsyncGenerator[EngineAddress]:
    """An engine in the test's own process, ready, until the block ends."""
    values = {"database_url": database_url, "token": TOKEN} | settings
    chosen = EngineSettings.model_validate(values)
    config = uvicorn.Config(
        create_app(chosen, author, spans),
        port=0,
        log_level="warning",
        ws="websockets-sansio",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    try:
        await eventually(lambda: server.started or serving.done())
        engine = EngineAddress(server.servers[0].sockets[0].getsockname()[1], chosen.prefix)
        async with engine.client() as client:
            await eventually(lambda: _is_ready(client), within=60)
        yield engine
    finally:
        server.should_exit = True
        await serving


def text_of(state: EngineState, path: str) -> str:
    """The text of a file in an engine's state."""
    return "\n".join(state["generated_files"][path]["content"])


def job(job_id: str, instructions: str = "Greet users by name.", **payload: JsonValue) -> dict[str, JsonValue]:
    """A JobExecutionEvent."""
    return {
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "job_id": job_id,
        "agent_definition": {"name": "spec", "nodes": [{"id": "lead", "type": "orchestrator"}]},
        "input_payload": {"instructions": instructions, **payload},
    }


async def _answers(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/health")).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


async def _is_ready(client: httpx.AsyncClient) -> bool:
    return (await client.get("/ready")).status_code == httpx.codes.OK
