"""The engine as an ASGI application: opens the checkpoints, resumes what was left, serves the contract."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import structlog
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route, WebSocketRoute

from engine.author import Author
from engine.checkpoints import Checkpoints
from engine.errors import StoreAwayError
from engine.graph import build_graph
from engine.routes import Routes, guarded
from engine.settings import EngineSettings
from engine.stream import StreamEndpoint
from engine.threads import Threads
from events.spans import Spans

log = structlog.get_logger()

_AGAIN_AFTER = 0.5
_SWEEP_EVERY = 3_600.0


def create_app(settings: EngineSettings, author: Author, spans: Spans | None = None) -> Starlette:
    """The application; nothing is opened before its lifespan starts, and it starts without the database too."""
    traced = spans or Spans()

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        url = settings.database_url.get_secret_value()
        async with Checkpoints(url, timeout=settings.store_timeout) as checkpoints:
            graph = build_graph(author, checkpoints.saver)
            threads = Threads(graph, checkpoints, running=settings.running, waiting=settings.waiting)
            app.router.routes.extend(_routes(threads, checkpoints, settings, traced))
            keeping = asyncio.create_task(_keep(threads, checkpoints, settings))
            try:
                yield
            finally:
                keeping.cancel()
                await threads.stop()
                await author.close()
                await asyncio.to_thread(traced.close)

    return Starlette(lifespan=lifespan)


def _routes(threads: Threads, checkpoints: Checkpoints, settings: EngineSettings, spans: Spans) -> list[BaseRoute]:
    token, prefix = settings.token.get_secret_value(), settings.prefix
    routes = Routes(threads, checkpoints, token)
    health, ready = guarded("health", routes.health), guarded("ready", routes.ready)
    return [
        Route(f"{prefix}/invoke", guarded("invoke", routes.invoke, spans), methods=["POST"]),
        Route(f"{prefix}/state/{{thread_id}}", guarded("state", routes.state, spans), methods=["GET"]),
        Route(f"{prefix}/cleanup/{{thread_id}}", guarded("cleanup", routes.cleanup, spans), methods=["DELETE"]),
        WebSocketRoute(f"{prefix}/stream/{{thread_id}}", StreamEndpoint(threads, token, spans).serve),
        *(Route(f"{place}/health", health, methods=["GET"]) for place in {prefix, ""}),
        *(Route(f"{place}/ready", ready, methods=["GET"]) for place in {prefix, ""}),
        Route("/metrics", routes.metrics, methods=["GET"]),
    ]


async def _keep(threads: Threads, checkpoints: Checkpoints, settings: EngineSettings) -> None:
    """Prepare the tables and resume what was left, as soon as the database is there; then sweep now and again."""
    while not threads.is_resumed:
        try:
            await checkpoints.prepare()
            log.info("engine_resumed", threads=await threads.resume())
        except StoreAwayError as error:
            log.warning("engine_waits_for_store", error=type(error.__cause__).__name__)
            await asyncio.sleep(_AGAIN_AFTER)
    while True:
        with contextlib.suppress(StoreAwayError):
            await threads.forget_ended(settings.keep)
        await asyncio.sleep(_SWEEP_EVERY)
