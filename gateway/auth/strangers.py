"""Who comes without a valid token is counted by address: a flood of strangers is refused, and no user because of it."""

from contextvars import ContextVar

from starlette.types import Scope

from gateway.auth.addresses import AddressSettings, address_of
from gateway.errors import RateLimitedError
from gateway.metrics import Metrics
from storage.limits import TIERS, Limiter

_serving: ContextVar[Scope | None] = ContextVar("serving", default=None)


class Strangers:
    """Token buckets by address, of the 10,000 addresses seen last, in this process: a flood is not told to Redis."""

    def __init__(self, settings: AddressSettings, metrics: Metrics) -> None:
        self._trusted = settings.trusted_proxies
        self._limit = TIERS[settings.address_tier]
        self._limiter = Limiter()
        self._metrics = metrics

    @staticmethod
    def serve(scope: Scope) -> None:
        """What is counted from here on, in this task, belongs to this request or socket."""
        _serving.set(scope)

    async def take(self) -> None:
        """Count one request, or one token, that is nobody's. Raises RateLimitedError: too many came from there."""
        scope = _serving.get()
        if scope is None or self._limit is TIERS["unlimited"]:
            return
        with self._metrics.reflex.limiting("ip"):
            wait = await self._limiter.take(address_of(scope, self._trusted), self._limit)
        if wait:
            self._metrics.rate_limited.labels("address").inc()
            self._metrics.reflex.rejected("ip")
            raise RateLimitedError(retry_after=wait)
