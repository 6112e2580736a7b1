"""How full the log is: from 80 % on, no new work is taken, and the rest is left for what is under way (DESIGN 3)."""

import asyncio

import structlog
from nats.errors import Error as NatsError

from events.errors import BusUnavailableError, LogFullError
from gateway.bus import Bus

log = structlog.get_logger()

SHED_AT = 0.8
RETRY_AFTER = 2.0
_EVERY, _OFTEN, _NEAR = 0.25, 0.05, 0.6
"""Seconds between two looks, usually and once the log is nearly full."""


class Headroom:
    """The last look at the log's size."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.fullness = 0.0

    def refuse_if_full(self) -> None:
        """Raise LogFullError while less than a fifth of the log is left."""
        if self.fullness >= SHED_AT:
            raise LogFullError(retry_after=RETRY_AFTER)

    async def run(self) -> None:
        """Look until cancelled. While the bus is away nothing is taken anyway."""
        while True:
            try:
                used, limit = await self._bus.log_size()
                self.fullness = used / limit if limit > 0 else 0.0
            except (BusUnavailableError, NatsError, TimeoutError, OSError) as error:
                log.debug("log_size_unknown", error=type(error).__name__)
            await asyncio.sleep(_EVERY if self.fullness < _NEAR else _OFTEN)
