"""Guests: who reads a room because its owner shared a proposal; that ends soon after the grant is taken back."""

import asyncio
from uuid import UUID

import structlog

from events.errors import StoreUnavailableError
from events.ids import derived_id
from gateway.errors import ForbiddenError
from gateway.live.replay import Replayer
from gateway.live.rooms import Room
from storage.proposals import grants_on
from storage.reading import Database

log = structlog.get_logger()

ASKS_EVERY = 1.0


class SharedNoLongerError(ForbiddenError):
    """What was shared with you is shared no longer."""

    code = "shared_no_longer"


class Guests:
    """Asks once a second, in one query, whether every guest that reads still may; without guests it asks nothing.

    With the database away nothing is asked, and no grant can be taken back meanwhile.
    """

    def __init__(self, engine: Database, replayer: Replayer) -> None:
        self._engine = engine
        self._replayer = replayer

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(ASKS_EVERY)
            try:
                await self._look()
            except StoreUnavailableError:
                log.debug("guests_not_looked_at")

    async def _look(self) -> None:
        reading = {subscription: _grant(subscription.room) for subscription in self._replayer.guests}
        if not reading:
            return
        granted = await grants_on(self._engine, {proposal for proposal, _ in reading.values()})
        for subscription, grant in reading.items():
            if grant not in granted:
                self._replayer.refuse(subscription, SharedNoLongerError())


def _grant(room: Room) -> tuple[UUID, str]:
    """The proposal of the room's task, and who was let in by it."""
    return derived_id(room.id or "", "proposal"), room.guest or ""
