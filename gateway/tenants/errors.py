"""What is said to a tenant that asks for more than it may use."""

from events.task import QUOTA_EXCEEDED
from gateway.errors import RateLimitedError


class QuotaExceededError(RateLimitedError):
    """Your tenant uses as much as it may: `quota` says of what, `used` and `allowed` how much."""

    code = QUOTA_EXCEEDED

    def __init__(
        self, quota: str | None = None, used: int = 0, allowed: int = 0, *, retry_after: float | None = None
    ) -> None:
        super().__init__(retry_after=retry_after)
        self.members = {} if quota is None else {"quota": quota, "used": used, "allowed": allowed}
