"""How many requests a principal may make: token buckets by tier, shared by all gateways (requirements 000.3)."""

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from gateway.auth.bearer import Authenticator, AuthSettings, Principal
from gateway.auth.strangers import Strangers
from gateway.auth.tiers import Tier
from gateway.errors import RateLimitedError, UnauthorizedError
from gateway.metrics import Metrics
from storage.limits import TIERS, Limiter


class RateSettings(BaseSettings):
    """`GANGLION_RATE_TIER`: the tier of tokens that name none in their claim `tier`; `REDIS_URL`: where counts are.

    Requests an hour and at once: free 100 and 10, basic 1,000 and 50, pro 10,000 and 100, enterprise 100,000 and 500,
    or unlimited. Without Redis each gateway counts for itself.
    """

    model_config = SettingsConfigDict(frozen=True, env_prefix="GANGLION_", populate_by_name=True)

    rate_tier: Tier = "unlimited"
    redis_url: SecretStr | None = Field(default=None, validation_alias="REDIS_URL")


class Rates:
    """Lets a principal's requests through at the rate of its tier; who is unlimited costs nothing."""

    def __init__(self, settings: RateSettings, metrics: Metrics) -> None:
        self._default = settings.rate_tier
        self._limiter = Limiter(settings.redis_url.get_secret_value() if settings.redis_url else None)
        self._refused = metrics.rate_limited

    async def take(self, principal: Principal) -> None:
        """Count one request. Raises RateLimitedError, which says when there is room again."""
        tier = principal.tier if principal.tier in TIERS else self._default
        if tier == "unlimited":
            return
        wait = await self._limiter.take(f"requests:{principal.tenant}:{principal.owner}", TIERS[tier])
        if wait:
            self._refused.labels(tier).inc()
            raise RateLimitedError(retry_after=wait)

    async def close(self) -> None:
        """Close the connection to Redis."""
        await self._limiter.__aexit__(None, None, None)


class CountingAuthenticator(Authenticator):
    """An authenticator for requests: whoever is known is also counted, and whoever is not, by address."""

    def __init__(self, settings: AuthSettings, rates: Rates, strangers: Strangers) -> None:
        super().__init__(settings)
        self._rates = rates
        self._strangers = strangers

    async def principal(self, token: str | None) -> Principal:
        """The bearer of `token`. Raises UnauthorizedError, RateLimitedError."""
        try:
            principal = await super().principal(token)
        except UnauthorizedError:
            if token is not None:  # who brings none is counted where that is seen
                await self.stranger()
            raise
        await self._rates.take(principal)
        return principal

    async def stranger(self) -> None:
        """Count it by address. Raises RateLimitedError."""
        await self._strangers.take()
