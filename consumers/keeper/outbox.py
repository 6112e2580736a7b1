"""Publish what was committed: in order, pipelined, again when it is not read back, never under an old lease (DESIGN 4).

The keeper reads its own events back from the log, and that is the acknowledgement: no other is asked for, which
saves a message an event. What has not come back for three seconds although the log was read to its end is sent
again, all of it in order; JetStream drops what it has by the Nats-Msg-Id.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

import structlog

from consumers.keeper.fold import Outgoing
from events.base import Event, EventData
from events.errors import BusUnavailableError
from producers.publisher import Publisher

log = structlog.get_logger()

_CHECK = 0.5
_PATIENCE = 3.0
_AT_ONCE = 256


class Outbox:
    """Sends state events in the order given. `may_publish` says whether the lease is fresh enough."""

    def __init__(self, publisher: Publisher, may_publish: Callable[[], bool]) -> None:
        self._publisher = publisher
        self._may_publish = may_publish
        self._waiting: dict[str, Outgoing] = {}
        self._sent: dict[str, Outgoing] = {}
        self._repeating = False
        self._sending = asyncio.Lock()
        self._progress = 0.0
        self._loop = asyncio.get_running_loop()

    def __len__(self) -> int:
        return len(self._sent) + len(self._waiting)

    def get(self, event_id: str) -> Event[EventData] | None:
        """The event with this id, if it was not read back yet: what comes back need not be parsed again."""
        outgoing = self._sent.get(event_id) or self._waiting.get(event_id)
        return None if outgoing is None else outgoing.event

    async def publish(self, events: Sequence[Outgoing]) -> None:
        """Send at once if nothing older waits, else behind it."""
        if not self._sent:
            self._progress = self._loop.time()
        for outgoing in events:
            self._waiting[outgoing.event.id] = outgoing
        await self._send()

    def read_back(self, event_ids: Iterable[str]) -> None:
        """These are in the log."""
        for event_id in event_ids:
            if self._sent.pop(event_id, None) or self._waiting.pop(event_id, None):
                self._progress = self._loop.time()

    async def run(self) -> None:
        """Send what could not be sent, and again what does not come back."""
        while True:
            await asyncio.sleep(_CHECK)
            if self._sent and self._loop.time() - self._progress > _PATIENCE:
                log.warning("outbox_resending", events=len(self))
                self._waiting = {**self._sent, **self._waiting}
                self._sent, self._progress = {}, self._loop.time()
                self._repeating = True
            await self._send()

    async def _send(self) -> None:
        """Send what waits, one sender at a time: two would overtake each other."""
        async with self._sending:
            # In parts: the lease may go stale on the way, and an atomic batch holds 1,000 at most.
            while self._waiting and self._may_publish():
                if not await self._send_some(list(islice(self._waiting.items(), _AT_ONCE))):
                    return
            self._repeating = self._repeating and bool(self._waiting)

    async def _send_some(self, due: Sequence[tuple[str, Outgoing]]) -> bool:
        """Whether the bus took them."""
        encoded = [(outgoing.subject, outgoing.body, event_id) for event_id, outgoing in due]
        try:
            await self._publisher.post_all(encoded, atomic=not self._repeating)
        except BusUnavailableError:
            log.warning("outbox_waiting", events=len(self))
            self._repeating = True
            return False
        for event_id, outgoing in due:
            if self._waiting.pop(event_id, None) is not None:  # else it was read back meanwhile
                self._sent[event_id] = outgoing
        return True


class _Nothing:
    def get(self, _: str) -> None:
        """None of them."""


NOTHING_ON_ITS_WAY = _Nothing()
"""For who reads the log without having published anything."""
