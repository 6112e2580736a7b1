"""Publish what was committed: in order, pipelined, again when it is not read back, never under an old lease (DESIGN 4).

The keeper reads its own events back from the log, and that is the acknowledgement: no other is asked for, which
saves a message an event. What comes back late is sent again, in order, as soon as something younger has come back, or
when nothing has for three seconds; JetStream drops what it has by the Nats-Msg-Id.

A write can be lost although a later one is kept: the link breaks between them, or the log is full for the one and has
room for the other. So the next state of an aggregate waits until the one before it was read back, unless both go out
in one write and the later is not the smaller: then the log cannot have it alone.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import takewhile

import structlog

from consumers.keeper.fold import Outgoing
from events.base import Event, EventData
from events.errors import BusUnavailableError
from events.message import MessageAppended
from producers.cancellation import heed_cancellation
from producers.publisher import Publisher

log = structlog.get_logger()

_CHECK = 0.5
_PATIENCE = 3.0
_AT_ONCE = 256
_BYTES_AT_ONCE = 1_000_000
"""Below what the client keeps before it flushes by itself: one write leaves on one connection."""
_NOTHING_FITS = float("inf")


class Outbox:
    """Sends state events in the order given. `may_publish` says whether the lease is fresh enough."""

    def __init__(self, publisher: Publisher, may_publish: Callable[[], bool]) -> None:
        self._publisher = publisher
        self._may_publish = may_publish
        self._waiting: dict[str, Outgoing] = {}
        self._sent: dict[str, Outgoing] = {}
        self._first: dict[str, int] = {}
        self._last: dict[str, int] = {}
        self._writes = 0
        self._under_way: Counter[str | None] = Counter()
        self._repeating = False
        self._sending = asyncio.Lock()
        self._progress = 0.0
        self._loop = asyncio.get_running_loop()

    def __len__(self) -> int:
        return len(self._sent) + len(self._waiting)

    @property
    def holds(self) -> bool:
        """Whether something waits, be it for the bus or for what must be read back first."""
        return bool(self._waiting)

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
        """These are in the log. What was sent before one of them and is not, was lost: it is sent again."""
        youngest = 0
        for event_id in event_ids:
            if event_id in self._sent:
                self._arrived(event_id)
            elif self._waiting.pop(event_id, None) is None:
                continue
            # Of an event that was sent twice it may be the first that is back: only what was sent before that is lost.
            youngest = max(youngest, self._first.pop(event_id, 0))
            self._last.pop(event_id, None)
            self._progress = self._loop.time()
        late = list(takewhile(lambda event_id: self._last[event_id] < youngest, self._sent))
        self._send_again({event_id: self._arrived(event_id) for event_id in late})

    async def run(self) -> None:
        """Send what could not be sent, and again what does not come back."""
        while True:
            heed_cancellation()
            await asyncio.sleep(_CHECK)
            if self._sent and self._loop.time() - self._progress > _PATIENCE:
                self.nothing_comes()
            await self._send()

    def nothing_comes(self) -> None:
        """All that was sent may be lost: it waits to be sent again."""
        self._progress = self._loop.time()
        self._send_again({event_id: self._arrived(event_id) for event_id in list(self._sent)})

    def _arrived(self, event_id: str) -> Outgoing:
        outgoing = self._sent.pop(event_id)
        line = _line(outgoing.event)
        self._under_way[line] -= 1
        if not self._under_way[line]:
            del self._under_way[line]
        return outgoing

    def _send_again(self, lost: dict[str, Outgoing]) -> None:
        if not lost:
            return
        log.warning("outbox_resending", events=len(lost))
        both = {**lost, **self._waiting}
        self._waiting = dict(sorted(both.items(), key=lambda item: item[1].position))
        self._repeating = True

    async def _send(self) -> None:
        """Send what waits and may go, one sender at a time: two would overtake each other."""
        async with self._sending:
            # In parts: the lease may go stale on the way, and an atomic batch holds 1,000 at most.
            while self._may_publish() and (due := self._due()):
                if not await self._send_some(due):
                    return
            self._repeating = self._repeating and bool(self._waiting)

    def _due(self) -> list[tuple[str, Outgoing]]:
        """What may go out in the next write, oldest first."""
        due: list[tuple[str, Outgoing]] = []
        sizes: dict[str | None, float] = {}
        room = _BYTES_AT_ONCE
        for event_id, outgoing in self._waiting.items():
            line, size = _line(outgoing.event), len(outgoing.subject) + len(outgoing.body)
            if line in self._under_way or size < sizes.get(line, 0):
                sizes[line] = _NOTHING_FITS
                continue
            room -= size
            if due and (room < 0 or len(due) == _AT_ONCE):
                break
            due.append((event_id, outgoing))
            sizes[line] = size
        return due

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
                self._writes += 1
                self._first.setdefault(event_id, self._writes)
                self._last[event_id] = self._writes
                self._sent[event_id] = outgoing
                self._under_way[_line(outgoing.event)] += 1
        return True


def _line(event: Event[EventData]) -> str | None:
    """What must be told in order: the states of one aggregate, the messages of one conversation."""
    return event.data.session_id if isinstance(event.data, MessageAppended) else event.subject


class _Nothing:
    def get(self, _: str) -> None:
        """None of them."""


NOTHING_ON_ITS_WAY = _Nothing()
"""For who reads the log without having published anything."""
