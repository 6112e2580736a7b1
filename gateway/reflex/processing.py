"""POST /process: a text in, what the reflex layer finds in it out (requirements 000.2)."""

import asyncio
from time import perf_counter

from fastapi import APIRouter
from pydantic_settings import BaseSettings, SettingsConfigDict
from starlette.requests import Request
from starlette.responses import Response

from gateway.auth.bearer import WRITE, Authenticator, Principal
from gateway.auth.tiers import Tier
from gateway.errors import RateLimitedError
from gateway.http.answers import json_answer
from gateway.http.bodies import read_body, read_json
from gateway.http.documentation import problems, request_body
from gateway.reflex_metrics import ReflexMetrics
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

    process_tier: Tier = "enterprise"


class _TimedStore:
    """The store, and how long it takes."""

    def __init__(self, store: ExaminationStore, metrics: ReflexMetrics) -> None:
        self._store = store
        self._metrics = metrics

    async def get(self, key: str) -> bytes | None:
        """What was put under this key."""
        with self._metrics.caching("get"):
            return await self._store.get(key)

    async def put(self, key: str, value: bytes, seconds: int) -> None:
        """Keep it for so long."""
        with self._metrics.caching("set"):
            await self._store.put(key, value, seconds)


class Processing:
    """The route; the rules are compiled when the first text comes."""

    def __init__(
        self,
        *,
        authenticator: Authenticator,
        metrics: ReflexMetrics,
        process: ProcessSettings,
        screening: ScreeningSettings,
        cache: CacheSettings,
    ) -> None:
        self._authenticator = authenticator
        self._metrics = metrics
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
        principal = await self._authenticator.caller(request, WRITE)
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
        self._metrics.answered(said, took)
        return json_answer(said.model_dump(mode="json"), 200)

    async def _let_in(self, principal: Principal) -> None:
        if not principal.is_admin and self._limit is not TIERS["unlimited"]:
            with self._metrics.limiting("user"):
                wait = await self._limiter.take(f"process:{principal.tenant}:{principal.owner}", self._limit)
            if wait:
                self._metrics.rejected("user")
                raise RateLimitedError(retry_after=wait)
        self._metrics.allowed()

    async def _screener(self) -> CachedScreener:
        if self._compiling is None:
            self._compiling = asyncio.create_task(self._compile())
        return await asyncio.shield(self._compiling)

    async def _compile(self) -> CachedScreener:
        screener = await asyncio.to_thread(self._screening.screener)
        keys = self._screening.seal_keys
        store = _TimedStore(self._store, self._metrics) if self._store else None
        secret = keys.get_secret_value().encode() if keys else b""
        return CachedScreener(screener, store, secret, on_read=self._metrics.read)
