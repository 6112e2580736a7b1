"""Telling the room `system` how the parts of Ganglion fare: when one changes, and when the log has lost something."""

import asyncio
from collections import deque
from uuid import UUID, uuid4

import structlog

from events.base import Event
from events.cursor import Cursor
from events.errors import GanglionError
from events.ids import derived_id
from events.system import SYSTEM, SystemAlert, SystemEvent, SystemHealth, Wellbeing
from gateway.accept import SOURCE
from gateway.bus import Bus
from gateway.commits import Commits
from gateway.lag import MAX_LAG, Lag
from gateway.live.hub import Hub

log = structlog.get_logger()

_EVERY = 1.0


class SystemRoom:
    """Looks once a second at what this process knows anyway, and publishes what is new.

    Best effort: while the bus is away nothing can be told, and what changed is told afterwards.
    """

    def __init__(self, bus: Bus, commits: Commits, lag: Lag, hub: Hub) -> None:
        self._bus = bus
        self._commits = commits
        self._lag = lag
        self._hub = hub
        self._told: dict[str, Wellbeing] = {}
        self._untold: deque[tuple[UUID, SystemAlert]] = deque(maxlen=100)
        self._epoch = ""
        self._me = f"gateway-{uuid4().hex[:8]}"
        hub.on_hole = self._lost
        commits.epoch_listeners.append(self._began_anew)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(_EVERY)
            if self._commits.has_begun and self._hub.is_open:
                await self._tell()

    def seen(self) -> dict[str, Wellbeing]:
        """Each component as it looks from here."""
        return {
            "nats": "up" if self._bus.connected else "down",
            "postgres": "up" if self._commits.store_answers else "down",
            "keeper": "degraded" if self._lag.seconds > MAX_LAG or self._commits.is_silent else "up",
        }

    async def _tell(self) -> None:
        for component, state in self.seen().items():
            news = SystemHealth(component=component, state=state, seen_by=self._me)
            if self._told.get(component, "up") != state and await self._publish(news):
                self._told[component] = state
        while self._untold and await self._publish(self._untold[0][1], self._untold[0][0]):
            self._untold.popleft()

    def _lost(self, first: Cursor, last: Cursor) -> None:
        """Every gateway sees the hole and says so with the same id: the bus keeps one."""
        alert = SystemAlert(component="log", code="events_lost", detail=f"from {first} to {last}")
        self._untold.append((derived_id(str(first), "hole", last.seq), alert))

    def _began_anew(self, epoch: str) -> None:
        if self._epoch:
            alert = SystemAlert(component="log", code="new_epoch", detail=f"{epoch} follows {self._epoch}")
            self._untold.append((derived_id(epoch, "epoch"), alert))
        self._epoch = epoch

    async def _publish(self, data: SystemEvent, event_id: UUID | None = None) -> bool:
        try:
            await self._bus.publish(Event.first(data, source=SOURCE, tenant=SYSTEM, owner=SYSTEM, event_id=event_id))
        except GanglionError as error:
            log.debug("system_event_untold", code=error.code)
            return False
        return True
