"""Token buckets: in Redis, shared by all gateways; in this process while Redis is away."""

import asyncio
import math
import time
from collections import OrderedDict
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import structlog
from redis.exceptions import RedisError

from storage.best_effort import LEFT_ALONE, PATIENCE, best_effort

log = structlog.get_logger()

_PREFIX = "ganglion:limit:"
_REMEMBERED = 10_000
_EXTRA = 0.1

# One bucket is a hash of tokens and time; the clock is the server's. Returns the seconds to wait, 0 for "go ahead".
_TAKE = """
local now = redis.call('TIME')
now = tonumber(now[1]) + tonumber(now[2]) / 1000000
local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local kept = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens = math.min(burst, (tonumber(kept[1]) or burst) + math.max(0, now - (tonumber(kept[2]) or now)) * rate)
local wait = 0
if tokens >= 1 then tokens = tokens - 1 else wait = (1 - tokens) / rate end
redis.call('HSET', KEYS[1], 'tokens', tostring(tokens), 'at', string.format('%.6f', now))
redis.call('EXPIRE', KEYS[1], math.ceil(burst / rate) + 60)
return tostring(wait)
"""


@dataclass(frozen=True, slots=True)
class Limit:
    """So many an hour, at most `burst` at once."""

    per_hour: float
    burst: int

    @property
    def rate(self) -> float:
        """Tokens a second."""
        return self.per_hour / 3600


class Limiter:
    """Counts what a caller does; it never fails. Without a URL each process counts for itself."""

    def __init__(self, url: str | None = None) -> None:
        self._redis = best_effort(url) if url else None
        self._own: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._again_at = 0.0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._redis is not None:
            await self._redis.aclose()

    async def take(self, key: str, limit: Limit) -> float:
        """Take one token: 0, or the seconds after which there is one again."""
        wait = await self._take_shared(key, limit)
        if wait is None:
            wait = self._take_own(key, limit)
        return wait + _EXTRA if wait else 0.0

    async def _take_shared(self, key: str, limit: Limit) -> float | None:
        if self._redis is None or time.monotonic() < self._again_at:
            return None
        try:
            async with asyncio.timeout(PATIENCE):
                said = await self._redis.eval(_TAKE, 1, _PREFIX + key, str(limit.rate), str(limit.burst))
                return float(said)
        except (RedisError, TimeoutError, OSError) as error:
            log.warning("limits_away", error=type(error).__name__, again_in=LEFT_ALONE)
            self._again_at = time.monotonic() + LEFT_ALONE
            return None

    def _take_own(self, key: str, limit: Limit) -> float:
        """The same in this process, for the 10,000 callers seen last."""
        now = time.monotonic()
        tokens, at = self._own.pop(key, (float(limit.burst), now))
        tokens = min(limit.burst, tokens + (now - at) * limit.rate)
        wait = 0.0 if tokens >= 1 else (1 - tokens) / limit.rate
        self._own[key] = (tokens if wait else tokens - 1, now)
        if len(self._own) > _REMEMBERED:
            self._own.popitem(last=False)
        return wait


TIERS: dict[str, Limit] = {
    "free": Limit(100, 10),
    "basic": Limit(1_000, 50),
    "pro": Limit(10_000, 100),
    "enterprise": Limit(100_000, 500),
    "unlimited": Limit(math.inf, 1),
}
"""Requirements 000.3."""
