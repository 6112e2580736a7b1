"""A bounded queue of frames towards one connection: who reads too slowly is told so, nothing is dropped silently."""

import asyncio
from collections import deque
from dataclasses import dataclass

LIMIT = 1024 * 1024
"""Bytes that may wait for one connection."""

_OVERHEAD = 64


@dataclass(frozen=True, slots=True)
class Closing:
    """Why the connection ends; `code` is a WebSocket close code (DESIGN 6)."""

    code: int
    reason: str


class Outlet:
    """Frames in order for one connection. `put` never waits; the writer takes with `next`.

    A frame is a (head, tail) pair of texts: tails are shared by all receivers of an event.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._queue: deque[tuple[str, str, int, str | None]] = deque()
        self._size = 0
        self._changed = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()
        self.closing: Closing | None = None
        self.last_cursor: str | None = None

    def put(self, head: str, tail: str = "", *, size: int = 0, cursor: str | None = None) -> bool:
        """Queue a frame; False once the connection is closing, as it is when this one does not fit."""
        if self.closing is not None:
            return False
        size = len(head) + (size or len(tail)) + _OVERHEAD
        if self._queue and self._size + size > self._limit:
            self._overflow()
            return False
        self._queue.append((head, tail, size, cursor))
        self._size += size
        if self._size > self._limit // 2:
            self._drained.clear()
        self._changed.set()
        return True

    def close(self, code: int, reason: str) -> None:
        """End after what is queued."""
        if self.closing is None:
            self.closing = Closing(code, reason)
            self._changed.set()
            self._drained.set()

    def _overflow(self) -> None:
        """The reader is too slow: what waits is dropped, and the place to resume from is the close reason."""
        self._queue.clear()
        self._size = 0
        self.close(4408, self.last_cursor or "0")

    async def next(self) -> str | Closing:
        """The next frame, or why it is over."""
        while not self._queue:
            if self.closing is not None:
                return Closing(self.closing.code, self._reason(self.closing))
            self._changed.clear()
            await self._changed.wait()
        head, tail, size, cursor = self._queue.popleft()
        self._size -= size
        if cursor is not None:
            self.last_cursor = cursor
        if self._size <= self._limit // 2:
            self._drained.set()
        return head + tail

    async def room(self) -> None:
        """Wait until less than half of the limit is queued; for a replay, which can wait for its reader."""
        await self._drained.wait()

    def _reason(self, closing: Closing) -> str:
        return (self.last_cursor or "0") if closing.code == 4408 else closing.reason
