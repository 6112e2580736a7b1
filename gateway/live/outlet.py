"""The way out to one connection. Nothing waits here in numbers: a subscription whose reader is slow stops writing,
remembers its place, and goes on from there when the reader has caught up.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Protocol

from events.cursor import Cursor

HIGH_WATER = 64 * 1024

STALLED_AFTER = 10.0
"""Seconds without taking a byte of what waits; then the reader is sent away with its resume point."""


@dataclass(frozen=True, slots=True)
class Closing:
    """Why the connection ends; `code` is a WebSocket close code (DESIGN 6)."""

    code: int
    reason: str


class Outlet(Protocol):
    """Takes encoded frames in order. `put` never waits; who has much to say asks `blocked` first."""

    closing: Closing | None
    last: Cursor | None
    """The place after which the reader may resume: of the last frame that went out and had one."""

    @property
    def blocked(self) -> bool:
        """Whether the reader is behind: put nothing that can wait."""

    def put(self, data: bytes, cursor: Cursor | None = None) -> None:
        """Send one frame; after the end it goes nowhere."""

    async def room(self) -> None:
        """Wait until the reader has caught up, or the connection ends."""

    def close(self, code: int, reason: str) -> None:
        """End after what was put. 4408 tells where to resume, whatever the reason says."""


def resume_point(outlet: Outlet) -> str:
    """What a reader that is sent away passes as `after`."""
    return str(outlet.last) if outlet.last is not None and outlet.last.epoch else "0"


class QueueOutlet:
    """An outlet whose reader takes: the body of a response that is streamed."""

    def __init__(self, high_water: int = HIGH_WATER) -> None:
        self._high_water = high_water
        self._queue: deque[bytes] = deque()
        self._size = 0
        self._changed = asyncio.Event()
        self._taken = asyncio.Event()
        self.closing: Closing | None = None
        self.last: Cursor | None = None

    @property
    def empty(self) -> bool:
        """Whether everything was taken."""
        return not self._queue

    @property
    def blocked(self) -> bool:
        """Whether more than the high water mark waits to be taken."""
        return self._size > self._high_water

    def put(self, data: bytes, cursor: Cursor | None = None) -> None:
        """Queue one frame."""
        if self.closing is not None:
            return
        self._queue.append(data)
        self._size += len(data)
        if cursor is not None:
            self.last = cursor
        self._changed.set()

    def close(self, code: int, reason: str) -> None:
        """End after what is queued."""
        if self.closing is None:
            self.closing = Closing(code, resume_point(self) if code == 4408 else reason)
            self._changed.set()
            self._taken.set()

    async def room(self) -> None:
        """Wait until everything was taken, or the end."""
        while self.blocked and self.closing is None:
            self._taken.clear()
            await self._taken.wait()

    async def next(self) -> bytes | Closing:
        """All that waits, in one piece; or why it is over."""
        while not self._queue:
            if self.closing is not None:
                return self.closing
            self._changed.clear()
            await self._changed.wait()
        data = self._queue[0] if len(self._queue) == 1 else b"".join(self._queue)
        self._queue.clear()
        self._size = 0
        self._taken.set()
        return data
