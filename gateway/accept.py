"""Accepting an event: published, acknowledged, and (if Postgres is there) committed before anyone says 202."""

import asyncio
from dataclasses import dataclass
from typing import Literal

from events.base import Event, EventData
from events.codec import decode
from events.errors import LogFullError, OutcomeUnknownError, OverloadedError
from events.task import QUOTA_EXCEEDED
from gateway.bus import Bus
from gateway.commits import NEW_EPOCH, Commits
from gateway.headroom import Headroom
from gateway.lag import MAX_LAG, Lag
from gateway.metrics import Metrics
from gateway.reflex.inspecting import Inspector
from gateway.tenants.quotas import Quotas
from producers.publisher import Ack

SOURCE = "/gateway"

Durability = Literal["log", "log+database"]

_EPOCHS = 3
_OVER_QUOTA = f"refused:{QUOTA_EXCEEDED}"


@dataclass(frozen=True, slots=True)
class Accepted:
    """How an event was kept. `outcome` is the keeper's, None while it is not known; `first_seq` is where the log
    holds the same event from an earlier publish, if it does; `seq` is where it holds it now, as far as is known.
    """

    outcome: str | None
    first_seq: int | None
    seq: int | None = None

    @property
    def durability(self) -> Durability:
        """What the answer may promise (DESIGN rule 1)."""
        return "log" if self.outcome is None else "log+database"


class Acceptor:
    """Publishes and waits for the outcome."""

    def __init__(
        self,
        bus: Bus,
        commits: Commits,
        lag: Lag,
        metrics: Metrics,
        *,
        inspector: Inspector | None = None,
        headroom: Headroom | None = None,
        quotas: Quotas | None = None,
    ) -> None:
        self._bus = bus
        self._headroom = headroom
        self._inspector = inspector
        self._quotas = quotas
        self._commits = commits
        self._lag = lag
        self._metrics = metrics
        self._counted = {kept: metrics.accepted.labels(kept) for kept in ("log", "log+database")}

    def refuse_if_overloaded(self) -> None:
        """Raise LogFullError near the log's limit, and OverloadedError while the keeper lags over 5 s.

        With Postgres away the keeper cannot but lag; work is then taken with durability `log`.
        """
        try:
            if self._headroom is not None:
                self._headroom.refuse_if_full()
        except LogFullError:
            self._metrics.shed.inc()
            raise
        if self._commits.store_answers and self._lag.seconds > MAX_LAG:
            self._metrics.shed.inc()
            raise OverloadedError(retry_after=min(30.0, self._lag.seconds))

    async def accept(self, event: Event[EventData]) -> Accepted:
        """Keep one event. Raises what `Bus.publish` raises, BlockedByPolicyError for what is not let in, and
        QuotaExceededError.

        A repeat of the call with the same event is harmless.
        """
        if self._quotas is not None:
            event = await self._quotas.admit(event)
        if self._inspector is not None:
            event = await self._inspector.inspect(event)
        for _ in range(_EPOCHS):
            ack, outcome = await self._attempt(event)
            if outcome != NEW_EPOCH:
                break
        else:
            outcome = None
        seq = None if ack is None else ack.seq
        accepted = Accepted(outcome, seq if ack is not None and ack.duplicate else None, seq)
        self._counted[accepted.durability].inc()
        if outcome == _OVER_QUOTA and self._quotas is not None:
            raise await self._quotas.exceeded(event.tenantid)
        return accepted

    async def earlier(self, accepted: Accepted) -> Event[EventData] | None:
        """What an earlier publish under the same id put into the log, if that is known. Raises TransientError."""
        stored = None if accepted.first_seq is None else await self._bus.stored(accepted.first_seq)
        return None if stored is None else decode(stored)

    async def _attempt(self, event: Event[EventData]) -> tuple[Ack | None, str | None]:
        waiting = self._commits.expect(event.id)
        ack: Ack | None = None
        try:
            ack = await self._bus.publish(event)
        except OutcomeUnknownError:
            # The answer was lost, but the keeper may have told us that the event arrived.
            if not _told(waiting):
                raise
        finally:
            if ack is None and not _told(waiting):
                self._commits.forget(event.id, waiting)
        if ack is not None and ack.duplicate:
            self._commits.hurry(event.id)
        if not self._commits.store_answers and not waiting.done():
            self._commits.forget(event.id, waiting)
            return ack, None
        try:
            return ack, await waiting
        finally:
            self._commits.forget(event.id, waiting)


def _told(waiting: asyncio.Future[str | None]) -> bool:
    return waiting.done() and waiting.result() is not None
