"""A spec engine that does what a test tells it to: replays frames, answers states, fails, counts."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from pydantic import JsonValue
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.support.eventually import eventually

Frame = dict[str, JsonValue]
Script = list[Frame | float | int | None]
Answer = tuple[int, dict[str, JsonValue]]

RECORDED: list[Frame] = json.loads((Path(__file__).parents[1] / "data" / "recorded_run.json").read_text())
END: Frame = {"event_type": "end", "data": {}}


def snapshot(files: dict[str, str]) -> Frame:
    """A frame with all files."""
    entries: dict[str, JsonValue] = {
        path: {"content": [*text.split("\n")], "created_at": "", "modified_at": ""} for path, text in files.items()
    }
    return {"event_type": "on_state_update", "data": {"messages": "wrote", "files": entries}}


def state(status: str, files: dict[str, str] | None = None, **more: JsonValue) -> Callable[[], Answer]:
    """An answer to `/state`."""
    entries: dict[str, JsonValue] = {path: {"content": [*text.split("\n")]} for path, text in (files or {}).items()}
    return lambda: (200, {"thread_id": "t", "status": status, "generated_files": entries, **more})


class StubEngine:
    """`streams`: what each connection is sent, one list a connection, the last one again and again.

    In it None hangs until `drop`, a float waits so many seconds, an int closes with that code.

    `is_ready`, `state` and `invoked` answer; lists count what was asked.
    """

    def __init__(self) -> None:
        self.port = 0
        self.is_ready = True
        self.answering = asyncio.Event()
        self.answering.set()
        self.retry_after: str | None = None
        self.state: Callable[[], Answer] = state("running")
        self.invoked: Callable[[], Answer] = lambda: (200, {"thread_id": "t", "status": "started"})
        self.cleaned: Callable[[], Answer] = lambda: (204, {})
        self.streams: list[Script] = [[]]
        self.jobs: list[dict[str, JsonValue]] = []
        self.cleanups: list[str] = []
        self.traces: list[str] = []
        self.asked_ready = self.states = self.connections = 0
        self._cut = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def ready(self, _: Request) -> Response:
        self.asked_ready += 1
        return Response(status_code=200 if self.is_ready else 503)

    async def invoke(self, request: Request) -> Response:
        self._note_trace(request)
        self.jobs.append(await request.json())
        return _answer(self.invoked(), self.retry_after)

    async def get_state(self, request: Request) -> Response:
        self._note_trace(request)
        self.states += 1
        await self.answering.wait()
        return _answer(self.state())

    async def cleanup(self, request: Request) -> Response:
        self._note_trace(request)
        self.cleanups.append(request.path_params["thread_id"])
        return _answer(self.cleaned())

    def _note_trace(self, connection: HTTPConnection) -> None:
        self.traces.append(connection.headers.get("traceparent", "none"))

    def runs_until(self, is_over: Callable[[], bool], files: dict[str, str]) -> None:
        """Say `running`, and `completed` with these files as soon as it is over."""
        running, completed = state("running"), state("completed", files)
        self.state = lambda: completed() if is_over() else running()

    def drop(self) -> None:
        """Close the streams that hang."""
        self._cut.set()
        self._cut = asyncio.Event()

    async def stream(self, socket: WebSocket) -> None:
        self._note_trace(socket)
        await socket.accept()
        frames = self.streams[min(self.connections, len(self.streams) - 1)]
        self.connections += 1
        try:
            for frame in frames:
                if frame is None:
                    cut = self._cut
                    await cut.wait()
                    break
                if isinstance(frame, int):
                    await socket.close(frame)
                    return
                if isinstance(frame, float):
                    await asyncio.sleep(frame)
                else:
                    await socket.send_text(json.dumps(frame))
            await socket.close()
        except (WebSocketDisconnect, RuntimeError):
            return


def _answer(answer: Answer, retry_after: str | None = None) -> Response:
    status, body = answer
    headers = {"Retry-After": retry_after} if retry_after else {}
    return Response(status_code=status) if status == 204 else JSONResponse(body, status, headers)


@asynccontextmanager
async def stub_engine(prefix: str = "/spec-engine") -> AsyncGenerator[StubEngine]:
    """Serve until the block ends."""
    engine = StubEngine()
    app = Starlette(
        routes=[
            Route("/ready", engine.ready),
            Route(f"{prefix}/invoke", engine.invoke, methods=["POST"]),
            Route(f"{prefix}/state/{{thread_id}}", engine.get_state),
            Route(f"{prefix}/cleanup/{{thread_id}}", engine.cleanup, methods=["DELETE"]),
            WebSocketRoute(f"{prefix}/stream/{{thread_id}}", engine.stream),
        ]
    )
    config = uvicorn.Config(app, port=0, log_level="critical", ws="websockets-sansio", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    try:
        await eventually(lambda: server.started)
        engine.port = server.servers[0].sockets[0].getsockname()[1]
        yield engine
    finally:
        engine.drop()
        server.should_exit = True
        await serving
