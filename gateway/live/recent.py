"""The latest events, kept in memory: who was away for a moment is served from here, without a question to Postgres."""

from bisect import bisect_right
from dataclasses import dataclass

from events.cursor import Cursor
from gateway.live.frames import Frame
from gateway.live.rooms import Room

MAX_EVENTS = 8_192
MAX_BYTES = 16 * 1024 * 1024

_SCAN = 2_048


@dataclass(frozen=True, slots=True)
class Page:
    """The events of a room up to `end`, the place where the next page begins."""

    frames: list[Frame]
    end: Cursor


class Recent:
    """All events after `start`, in order; the oldest make room for new ones."""

    def __init__(self, max_events: int = MAX_EVENTS, max_bytes: int = MAX_BYTES) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._frames: list[Frame] = []
        self._seqs: list[int] = []
        self._bytes = 0
        self.start = Cursor("", 0)
        self.end = Cursor("", 0)

    def begin(self, at: Cursor) -> None:
        """Forget everything: what follows is not joined to what was."""
        self._frames.clear()
        self._seqs.clear()
        self._bytes = 0
        self.start = self.end = at

    def add(self, frame: Frame) -> None:
        """Keep the next event."""
        self._frames.append(frame)
        self._seqs.append(frame.cursor.seq)
        self._bytes += frame.size
        self.end = frame.cursor
        if len(self._frames) > 2 * self._max_events or self._bytes > 2 * self._max_bytes:
            self._trim()

    def passed(self, place: Cursor) -> None:
        """The log holds nothing that is shown up to here."""
        self.end = place

    def holds(self, after: Cursor) -> bool:
        """Whether every event after this place is here."""
        return after.epoch == self.start.epoch and self.start.seq <= after.seq <= self.end.seq

    def page(self, room: Room, after: Cursor, limit: int) -> Page:
        """At most `limit` events of a room after a place that `holds`; looks at a bounded number of events."""
        first = bisect_right(self._seqs, after.seq)
        found: list[Frame] = []
        last = min(len(self._frames), first + _SCAN)
        for index in range(first, last):
            frame = self._frames[index]
            if room.shows(frame.keys):
                found.append(frame)
                if len(found) == limit:
                    return Page(found, frame.cursor)
        return Page(found, self.end if last == len(self._frames) else self._frames[last - 1].cursor)

    def _trim(self) -> None:
        """Drop the oldest in one go, so that adding stays cheap."""
        keep = min(self._max_events, len(self._frames))
        size = sum(frame.size for frame in self._frames[-keep:])
        while keep > 1 and size > self._max_bytes:
            size -= self._frames[-keep].size
            keep -= 1
        self.start = self._frames[-keep - 1].cursor
        del self._frames[:-keep]
        del self._seqs[:-keep]
        self._bytes = size
