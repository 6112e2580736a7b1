"""The right to fold: one keeper has it, for two seconds at a time, from the moment it takes it."""

import asyncio
import time
from collections.abc import Callable

from producers.cancellation import heed_cancellation
from storage.keeper import KeeperStore, Position

_STANDBY_EVERY = 0.5
_RENEW_EVERY = 0.5
_FRESH = 1.0


class Lease:
    """Taken, kept and given back over a connection of its own, so that a slow batch does not cost it."""

    def __init__(self, store: KeeperStore) -> None:
        self._store = store
        self._renewed = time.monotonic()

    @property
    def is_fresh(self) -> bool:
        """Whether it was surely ours a second ago: nobody else has led since."""
        return time.monotonic() - self._renewed < _FRESH

    async def taken(self, can_lead: Callable[[], bool]) -> Position:
        """Stand by until it can be had, and not before `can_lead`; how far the log is folded."""
        while True:
            heed_cancellation()
            if can_lead():
                began = time.monotonic()
                position = await self._store.acquire()
                if position is not None:
                    self.renewed(began)
                    return position
            await asyncio.sleep(_STANDBY_EVERY)

    async def keep(self) -> None:
        """Renew it until cancelled; raises LeaseLostError."""
        while True:
            heed_cancellation()
            await asyncio.sleep(_RENEW_EVERY)
            began = time.monotonic()
            await self._store.renew()
            self.renewed(began)

    def renewed(self, began: float) -> None:
        """A statement that was sent at `began` (monotonic) has renewed it: so does every batch."""
        self._renewed = max(self._renewed, began)

    async def release(self) -> None:
        """Give it back so that a standby need not wait."""
        await self._store.release()
