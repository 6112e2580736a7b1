"""Examinations of long texts, remembered in Redis for some minutes; without Redis, nothing is remembered."""

import asyncio
import time
from types import TracebackType
from typing import Self

import structlog
from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from redis.exceptions import RedisError

from storage.best_effort import LEFT_ALONE, PATIENCE, best_effort

log = structlog.get_logger()

_PREFIX = "ganglion:examined:"


class CacheSettings(BaseSettings):
    """Where Redis is: `REDIS_URL=redis://:password@host:port/0`; without it nothing is remembered."""

    model_config = SettingsConfigDict(frozen=True, env_prefix="")

    redis_url: SecretStr | None = None


class ExaminationStore:
    """A store that never fails and never delays: after a failure or 100 ms Redis is left alone for 5 s."""

    def __init__(self, url: str) -> None:
        self._redis = best_effort(url)
        self._again_at = 0.0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._redis.aclose()

    async def get(self, key: str) -> bytes | None:
        """What was put under this key, if it is still there and Redis answers."""
        if time.monotonic() < self._again_at:
            return None
        try:
            async with asyncio.timeout(PATIENCE):
                value = await self._redis.get(_PREFIX + key)
                return value.encode() if isinstance(value, str) else value
        except (RedisError, TimeoutError, OSError) as error:
            self._leave_alone(error)
            return None

    async def put(self, key: str, value: bytes, seconds: int) -> None:
        """Keep it for so long, if Redis answers."""
        if time.monotonic() < self._again_at:
            return
        try:
            async with asyncio.timeout(PATIENCE):
                await self._redis.set(_PREFIX + key, value, ex=seconds)
        except (RedisError, TimeoutError, OSError) as error:
            self._leave_alone(error)

    def _leave_alone(self, error: Exception) -> None:
        log.warning("verdict_cache_away", error=type(error).__name__, again_in=LEFT_ALONE)
        self._again_at = time.monotonic() + LEFT_ALONE
