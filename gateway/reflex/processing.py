"""POST /process: a text in, what the reflex layer finds in it out (requirements 000.2)."""

import asyncio
from time import perf_counter
from typing import Literal

from fastapi import APIRouter
from prometheus_client import CollectorRegistry, Counter, Histogram
from pydantic_settings import BaseSettings, SettingsConfigDict
from starlette.requests import Request
from starlette.responses import Response

from gateway.auth.bearer import WRITE, Authenticator, Principal, bearer
from gateway.errors import RateLimitedError
from gateway.http.answers import json_answer
from gateway.http.bodies import read_body, read_json
from gateway.http.documentation import problems, request_body
from gateway.trail import Trail
from screening.cached import CachedScreener
from screening.contract import ProcessAnswer, ProcessRequest, answer
from screening.judgement import judge
from screening.model import Checks
from screening.settings import ScreeningSettings
from storage.limits import TIERS, Limiter
from storage.verdicts import CacheSettings, ExaminationStore

_PATH = "/process"


class ProcessSettings(BaseSettings):
    """`GANGLION_PROCESS_TIER`: how many texts a user may send to POST /process; an admin may send any number."""

    model_config = SettingsConfigDict(frozen=True, env_prefix="GANGLION_")

    process_tier: Literal["free", "basic", "pro", "enterprise", "unlimited"] = "enterprise"


class _Counts:
    """The names are those of the reflex service that this answers for."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.pii = Counter("reflex_pii_detections_total", "Personal data found", ["pii_type"], registry=registry)
        self.injections = Counter(
            "reflex_injection_detections_total", "Injections found", ["severity"], registry=registry
        )
        self.hits = Counter("reflex_cache_hits_total", "Texts known", registry=registry)
        self.misses = Counter("reflex_cache_misses_total", "Texts read", registry=registry)
        self.allowed = Counter("reflex_rate_limit_allowed_total", "Requests let in", registry=registry)
        self.rejected = Counter(
            "reflex_rate_limit_rejected_total", "Requests refused", ["dimension"], registry=registry
        )
        self.blocked = Counter("reflex_requests_blocked_total", "Texts that policy blocks", registry=registry)
        self.seconds = Histogram(
            "reflex_processing_seconds",
            "Time to look at one text",
            buckets=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5),
            registry=registry,
        )

    def of(self, said: ProcessAnswer, seconds: float) -> None:
        """One answer."""
        self.seconds.observe(seconds)
        (self.hits if said.cache_hit else self.misses).inc()
        for data in said.pii_matches:
            self.pii.labels(data.pii_type).inc()
        for hit in said.injection_matches:
            self.injections.labels(hit.severity).inc()
        if said.status == "blocked":
            self.blocked.inc()


class Processing:
    """The route; the rules are compiled when the first text comes."""

    def __init__(
        self,
        *,
        authenticator: Authenticator,
        registry: CollectorRegistry,
        process: ProcessSettings,
        screening: ScreeningSettings,
        cache: CacheSettings,
    ) -> None:
        self._authenticator = authenticator
        self._counts = _Counts(registry)
        self._limit = TIERS[process.process_tier]
        self._screening = screening
        url = cache.redis_url.get_secret_value() if cache.redis_url else None
        self._limiter = Limiter(url)
        self._store = ExaminationStore(url) if url else None
        self._compiling: asyncio.Task[CachedScreener] | None = None

    def router(self) -> APIRouter:
        """The route."""
        router = APIRouter(tags=["reflex"])
        router.add_api_route(
            _PATH,
            self.process,
            methods=["POST"],
            summary="Look at a text",
            responses={200: {"model": ProcessAnswer}, **problems(400, 401, 403, 413, 415, 422, 503)},
            openapi_extra=request_body(ProcessRequest),
        )
        return router

    async def close(self) -> None:
        """Close the connections to Redis."""
        await self._limiter.__aexit__(None, None, None)
        if self._store is not None:
            await self._store.__aexit__(None, None, None)

    async def process(self, request: Request) -> Response:
        """What is in the text and what the tenant's policy for goals makes of it; the text itself is not kept."""
        principal = await self._authenticator.principal(bearer(request.headers))
        principal.must(WRITE)
        await self._let_in(principal)
        _, body = await read_json(request)
        asked = read_body(ProcessRequest, body)
        began = perf_counter()
        screener = await self._screener()
        whose = f"{principal.tenant}/{principal.owner}"
        profile = screener.screener.policy.profile(tenant=principal.tenant, kind="goal")
        checks = Checks(data=asked.check_pii, injections=asked.check_injection, patterns=profile.patterns)
        found, known = await screener.examine(asked.text, checks, whose=whose, cached=asked.use_cache)
        verdict = judge({"text": asked.text}, {"text": found}, profile, screener.screener.rules_version)
        took = perf_counter() - began
        trail = Trail.of(request.scope)
        said = answer(verdict, request_id=trail.request_id, cache_hit=known, milliseconds=took * 1000)
        self._counts.of(said, took)
        return json_answer(said.model_dump(mode="json"), 200)

    async def _let_in(self, principal: Principal) -> None:
        if principal.is_admin or self._limit is TIERS["unlimited"]:
            return
        wait = await self._limiter.take(f"process:{principal.tenant}:{principal.owner}", self._limit)
        if wait:
            self._counts.rejected.labels("user").inc()
            raise RateLimitedError(retry_after=wait)
        self._counts.allowed.inc()

    async def _screener(self) -> CachedScreener:
        if self._compiling is None:
            self._compiling = asyncio.create_task(self._compile())
        return await asyncio.shield(self._compiling)

    async def _compile(self) -> CachedScreener:
        screener = await asyncio.to_thread(self._screening.screener)
        keys = self._screening.seal_keys
        return CachedScreener(screener, self._store, keys.get_secret_value().encode() if keys else b"")
