"""What a running thread says, to whoever listens; a slow listener holds one snapshot at most and hurts nobody."""

import asyncio
from collections import deque

from engine.frames import Frame

_MAX_PIECES = 2_000


class Listener:
    """Frames in order. Of snapshots only the newest is kept, of text pieces the last 2,000."""

    def __init__(self) -> None:
        self._frames: deque[Frame] = deque()
        self._pieces = 0
        self._is_closed = False
        self._news = asyncio.Event()

    def put(self, frame: Frame) -> None:
        """Take a frame; an older snapshot that nobody read yet makes room."""
        if frame.event_type == "on_state_update":
            self._frames = deque(kept for kept in self._frames if kept.event_type != "on_state_update")
        elif frame.event_type == "on_llm_stream":
            self._pieces += 1
            if self._pieces > _MAX_PIECES:
                self._drop_piece()
        self._frames.append(frame)
        self._news.set()

    def close(self) -> None:
        """Nothing comes any more."""
        self._is_closed = True
        self._news.set()

    async def next(self) -> Frame | None:
        """The next frame, when there is one; None when none will come."""
        while not self._frames:
            if self._is_closed:
                return None
            self._news.clear()
            await self._news.wait()
        frame = self._frames.popleft()
        if frame.event_type == "on_llm_stream":
            self._pieces -= 1
        return frame

    def _drop_piece(self) -> None:
        for place, frame in enumerate(self._frames):
            if frame.event_type == "on_llm_stream":
                del self._frames[place]
                self._pieces -= 1
                return


class Feed:
    """Hands every frame of one thread to its listeners."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()

    def listen(self) -> Listener:
        """A listener that gets what comes from now on."""
        listener = Listener()
        self._listeners.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        """Forget a listener."""
        self._listeners.discard(listener)

    def publish(self, frame: Frame) -> None:
        """Tell everyone."""
        for listener in self._listeners:
            listener.put(frame)

    def close(self) -> None:
        """Say that the thread does not run any more."""
        for listener in self._listeners:
            listener.close()
