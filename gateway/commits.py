"""What the keeper has committed: as it announces it, or as Postgres says when an announcement is late (DESIGN 4)."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field

import orjson
import structlog
from nats.aio.msg import Msg

from events.cursor import Cursor
from events.errors import StoreUnavailableError
from gateway.lag import Lag

log = structlog.get_logger()

APPLIED = "applied"
DUPLICATE = "duplicate"
NEW_EPOCH = "new_epoch"
"""Not an outcome of the keeper's: the log began anew while we waited, so publish again with the same id."""

_SILENT_AFTER = 5.0
"""Seconds without a word of any keeper, who speaks every tenth of one, after which none is there."""
_TICK = 0.05
_LATE = 0.25
_GIVE_UP = 2.0
_PROBE = 0.5
_AT_ONCE = 1_000

Ask = Callable[[Collection[str]], Awaitable[dict[str, str]]]


@dataclass(slots=True)
class _Waiter:
    since: float
    asked: float
    futures: list[asyncio.Future[str | None]] = field(default_factory=list)


class Commits:
    """Waits for the outcomes of events, and knows how far the keeper is and whether Postgres answers us.

    `ask` reads outcomes by event id from Postgres; one query serves all that wait.
    """

    def __init__(self, ask: Ask, lag: Lag) -> None:
        self._ask = ask
        self._lag = lag
        self._waiting: dict[str, _Waiter] = {}
        self._moved: asyncio.Future[None] | None = None
        self._probed = 0.0
        self._heard = time.monotonic()
        self.at = Cursor("", 0)
        self.store_answers = True
        self.resent = 0
        self.epoch_listeners: list[Callable[[str], None]] = []

    @property
    def has_begun(self) -> bool:
        """Whether any keeper was heard since this process began."""
        return self.at.epoch != ""

    @property
    def silence(self) -> float:
        """Seconds since a keeper was heard, or since this process began."""
        return time.monotonic() - self._heard

    @property
    def is_silent(self) -> bool:
        """Whether no keeper leads, or none can reach us."""
        return self.silence > _SILENT_AFTER

    def expect(self, event_id: str) -> asyncio.Future[str | None]:
        """The outcome of an event; None if it is not known within 2 s, or soon if Postgres is away."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[str | None] = loop.create_future()
        now = loop.time()
        waiter = self._waiting.get(event_id)
        if waiter is None:
            waiter = self._waiting[event_id] = _Waiter(now, now)
        waiter.futures.append(future)
        return future

    def hurry(self, event_id: str) -> None:
        """Ask Postgres at the next tick: an event that was published before is not announced again."""
        waiter = self._waiting.get(event_id)
        if waiter is not None:
            waiter.asked = 0.0

    def forget(self, event_id: str, future: asyncio.Future[str | None]) -> None:
        """The one who holds `future` waits no more."""
        if not future.done():
            future.cancel()
        waiter = self._waiting.get(event_id)
        if waiter is not None and all(other.done() for other in waiter.futures):
            del self._waiting[event_id]

    async def on_announce(self, message: Msg) -> None:
        """Take one announcement (events.announce.Committed)."""
        said = orjson.loads(message.data)
        self._heard = time.monotonic()
        outcomes: dict[str, str] = said.get("outcomes") or {}
        for event_id, outcome in outcomes.items():
            self._settle(event_id, outcome)
        self.resent = said.get("resent", 0)
        self._move(Cursor(said["epoch"], said["position"]))

    async def reached(self, place: Cursor, *, within: float = 5.0) -> bool:
        """Whether the keeper commits up to `place`, in its epoch, before `within` seconds have passed."""
        try:
            async with asyncio.timeout(within):
                while not self._has_reached(place):
                    await self._next_move()
        except TimeoutError:
            return False
        return True

    async def run(self) -> None:
        """Look after the late ones until cancelled."""
        while True:
            await asyncio.sleep(_TICK)
            await self._tick(asyncio.get_running_loop().time())

    def _has_reached(self, place: Cursor) -> bool:
        return self.at.epoch == place.epoch and self.at.seq >= place.seq

    async def _next_move(self) -> None:
        if self._moved is None or self._moved.done():
            self._moved = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._moved)

    def _move(self, place: Cursor) -> None:
        if place.epoch < self.at.epoch:
            return  # of a keeper that does not know yet that it leads no more
        renewed = place.epoch != self.at.epoch
        began = not self.has_begun
        self.at = place
        if renewed:
            self._lag.reset()
            if not began:
                log.warning("epoch_changed", epoch=place.epoch)
                for event_id in list(self._waiting):
                    self._settle(event_id, NEW_EPOCH)
            for listener in self.epoch_listeners:
                listener(place.epoch)
        self._lag.committed(place.seq)
        if self._moved is not None and not self._moved.done():
            self._moved.set_result(None)

    def _settle(self, event_id: str, outcome: str | None) -> None:
        waiter = self._waiting.pop(event_id, None)
        if waiter is None:
            return
        for future in waiter.futures:
            if not future.done():
                future.set_result(outcome)

    async def _tick(self, now: float) -> None:
        late = self._late(now)
        if late or (now - self._probed > _PROBE and (not self.store_answers or self._lag.seconds > 1.0)):
            await self._look(late, now)
        for event_id in self._overdue(now):
            self._settle(event_id, None)

    def _late(self, now: float) -> list[str]:
        """Who has waited 250 ms since the start or the last question; those that wait longest come first."""
        late = [event_id for event_id, waiter in self._waiting.items() if now - waiter.asked >= _LATE]
        return late[:_AT_ONCE]

    def _overdue(self, now: float) -> list[str]:
        if not self.store_answers:
            return list(self._waiting)
        return [event_id for event_id, waiter in self._waiting.items() if now - waiter.since >= _GIVE_UP]

    async def _look(self, late: list[str], now: float) -> None:
        self._probed = now
        for event_id in late:
            self._waiting[event_id].asked = now
        try:
            async with asyncio.timeout(1.0):
                found = await self._ask(late)
        except (StoreUnavailableError, TimeoutError):
            if self.store_answers:
                log.warning("store_away")
            self.store_answers = False
            return
        if not self.store_answers:
            log.info("store_back")
        self.store_answers = True
        for event_id, outcome in found.items():
            self._settle(event_id, outcome)
