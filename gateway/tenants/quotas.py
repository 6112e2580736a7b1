"""Quotas at the edge: what asks for more is stamped with its tenant's quota, and refused early where that is used up.

The keeper decides (consumers/keeper/usage.py); to refuse here only spares a request that would fail anyway.
"""

from dataclasses import replace
from datetime import UTC, datetime

from events.base import Event, EventData
from events.errors import StoreUnavailableError
from events.task import TaskControl, TaskSubmitted
from gateway.tenants.errors import QuotaExceededError
from gateway.tenants.settings import NO_QUOTA, Quota, QuotaFile
from storage.reading import Database
from storage.usage import UsageRow, find_usage

_SOON = 10.0
"""Seconds after which a session may have ended."""


class Quotas:
    """What tenants may use, and what they use."""

    def __init__(self, file: QuotaFile, engine: Database) -> None:
        self._file = file
        self._engine = engine

    def of(self, tenant: str) -> Quota:
        """What the tenant may use."""
        return self._file.of(tenant)

    async def used(self, tenant: str, now: datetime) -> UsageRow:
        """What the tenant uses; of tokens, in this month. Raises StoreUnavailableError."""
        used = await find_usage(self._engine, tenant)
        month = f"{now:%Y-%m}"
        return used if used.month == month else replace(used, month=month, tokens=0)

    async def admit(self, event: Event[EventData]) -> Event[EventData]:
        """The event with its tenant's quota, if it asks for more and there is one. Raises QuotaExceededError."""
        quota = self.of(event.tenantid)
        if quota == NO_QUOTA or not isinstance(event.data, TaskSubmitted | TaskControl):
            return event
        if isinstance(event.data, TaskSubmitted):
            await self._refuse_early(event.tenantid, quota, sessions=_begins_session(event.data))
        stamp = {"quotasessions": quota.concurrent_sessions, "quotatokens": quota.tokens_per_month}
        return event.model_copy(update=stamp)

    async def exceeded(self, tenant: str) -> QuotaExceededError:
        """What to say of a request that the keeper has refused."""
        quota, now = self.of(tenant), datetime.now(UTC)
        try:
            used = await self.used(tenant, now)
        except StoreUnavailableError:
            return QuotaExceededError(retry_after=_SOON)
        return _exceeded(quota, used, now, sessions=True) or QuotaExceededError(retry_after=_SOON)

    async def _refuse_early(self, tenant: str, quota: Quota, *, sessions: bool) -> None:
        now = datetime.now(UTC)
        try:
            used = await self.used(tenant, now)
        except StoreUnavailableError:
            return  # the keeper will see to it
        error = _exceeded(quota, used, now, sessions=sessions)
        if error is not None:
            raise error


def next_month(now: datetime) -> datetime:
    """When the tokens of this month are forgotten."""
    year, month = (now.year + 1, 1) if now.month == 12 else (now.year, now.month + 1)
    return datetime(year, month, 1, tzinfo=UTC)


def _begins_session(data: TaskSubmitted) -> bool:
    return data.session is not None and data.session.kind == "work" and not data.spec.hold


def _exceeded(quota: Quota, used: UsageRow, now: datetime, *, sessions: bool) -> QuotaExceededError | None:
    if quota.tokens_per_month is not None and used.tokens >= quota.tokens_per_month:
        wait = (next_month(now) - now).total_seconds()
        return QuotaExceededError("tokens_per_month", used.tokens, quota.tokens_per_month, retry_after=wait)
    if sessions and quota.concurrent_sessions is not None and used.sessions >= quota.concurrent_sessions:
        return QuotaExceededError("concurrent_sessions", used.sessions, quota.concurrent_sessions, retry_after=_SOON)
    return None
