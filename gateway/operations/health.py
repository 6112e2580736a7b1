"""Is it alive, can it take work, what does it count: livez, readyz, health, ready, metrics, and what runs here."""

import asyncio
import time
from collections.abc import Awaitable
from datetime import UTC, datetime
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from events.errors import GanglionError, OverloadedError
from events.streams import REFLEX
from gateway.bus import Bus
from gateway.commits import Commits
from gateway.http.answers import json_answer
from gateway.http.documentation import problems
from gateway.lag import MAX_LAG, Lag
from gateway.live.hub import Hub
from gateway.metrics import Metrics
from gateway.operations.checkup import Checkup
from gateway.operations.models import Health, Info, Live, NotReady, Readiness, Ready
from gateway.version import running_version
from storage.log import answers
from storage.reading import Database

_TEXT = "text/plain; version=0.0.4; charset=utf-8"

Checked = dict[str, object]


class HealthRoutes:
    """Routes without authentication; none shows a user's data."""

    def __init__(
        self,
        *,
        bus: Bus,
        engine: Database,
        commits: Commits,
        lag: Lag,
        hub: Hub,
        metrics: Metrics,
        checkup: Checkup,
    ) -> None:
        self._bus = bus
        self._checkup = checkup
        self._engine = engine
        self._commits = commits
        self._lag = lag
        self._hub = hub
        self._metrics = metrics
        self._looking: asyncio.Task[dict[str, Checked]] | None = None

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(tags=["operations"])
        get = partial(router.get, openapi_extra={"security": []})
        get("/", summary="What runs here", responses={200: {"model": Info}, **problems(429)})(self.info)
        get("/livez", summary="The process lives", responses={200: {"model": Live}})(self.livez)
        get(
            "/readyz",
            summary="Work can be taken",
            responses={200: {"model": Readiness}, 503: {"model": Readiness}, **problems(422)},
        )(self.readyz)
        get("/health", summary="Liveness, as /submit's document has it", responses={200: {"model": Health}})(
            self.health
        )
        get(
            "/ready",
            summary="Readiness, as /submit's document has it",
            responses={200: {"model": Ready}, 503: {"model": NotReady}},
        )(self.ready)
        get(
            "/metrics",
            summary="Prometheus metrics",
            response_class=Response,
            responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
        )(self.metrics)
        return router

    async def info(self) -> Response:
        """Name, version, and where to read on."""
        return json_answer(
            {"name": "ganglion", "version": running_version(), "openapi": "/openapi.json", "websocket": "/ws"}
        )

    async def livez(self) -> Response:
        """200 while the event loop turns."""
        return json_answer({"status": "ok"})

    async def readyz(
        self, verbose: Annotated[str | None, Query(description="Show each dependency")] = None
    ) -> Response:
        """503 while NATS or Postgres is away or no keeper was heard yet: then no work can be taken.

        `degraded` (200): work is taken, but the keeper lags or is silent, a consumer is paused or missing, or a promise
        is weaker than it should be.
        """
        checks = await self._checks()
        fine = bool(checks["nats"]["ok"] and checks["postgres"]["ok"] and self._commits.has_begun)
        if verbose is not None:
            checks |= {finding.name: finding.shown() for finding in await self._checkup.now()}
        best = "degraded" if self._checkup.is_degraded or not checks["keeper"]["ok"] else "ready"
        body: Checked = {"status": best if fine else "not_ready"}
        if verbose is not None:
            body["checks"] = checks
        return json_answer(body, 200 if fine else 503)

    async def health(self) -> Response:
        """200 while the process lives."""
        return json_answer({"status": "healthy", "timestamp": datetime.now(UTC), "version": running_version()})

    async def ready(self) -> Response:
        """503 while the database or the bus is away. `reflex_layer`: whether somebody screens what was kept."""
        checks = await self._checks()
        shown = {"database": checks["postgres"]["ok"], "bus": checks["nats"]["ok"], "keeper": checks["keeper"]["ok"]}
        shown["reflex_layer"] = REFLEX.name in self._checkup.read
        fine = bool(shown["database"] and shown["bus"])
        body: Checked = {"ready": fine, "checks": shown, "timestamp": datetime.now(UTC)}
        if fine:
            return json_answer(body)
        return json_answer({**body, "error": {"ready": False, "checks": shown}}, 503)

    async def metrics(self) -> Response:
        """All counters."""
        self._metrics.keeper_lag.set(self._lag.seconds)
        self._metrics.hub_seq.set(self._hub.position.seq)
        self._metrics.committed_seq.set(self._commits.at.seq)
        return Response(self._metrics.text(), media_type=_TEXT)

    async def _checks(self) -> dict[str, Checked]:
        """Who asks while somebody else's look is under way is told the same: nobody needs a token to ask, and however
        many do, the database is asked by one at a time.
        """
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name="readiness")
        return dict(await asyncio.shield(self._looking))

    async def _look(self) -> dict[str, Checked]:
        return {
            "nats": await _timed(self._bus.answers()),
            "postgres": await _timed(answers(self._engine)),
            "keeper": {**await _timed(self._keeper()), "lag_seconds": round(self._lag.seconds, 3)},
            "hub": {"ok": self._hub.is_open},
        }

    async def _keeper(self) -> None:
        if not self._commits.has_begun:
            raise OverloadedError("no keeper was heard yet")
        if self._lag.seconds > MAX_LAG:
            raise OverloadedError(f"the keeper lags {self._lag.seconds:.1f} s")
        if self._commits.is_silent:
            raise OverloadedError(f"no keeper was heard for {self._commits.silence:.0f} s")


async def _timed(check: Awaitable[None]) -> Checked:
    began = time.perf_counter()
    try:
        await check
    except GanglionError as error:
        return {"ok": False, "ms": _since(began), "detail": error.detail}
    return {"ok": True, "ms": _since(began)}


def _since(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 2)
