"""Events that wait to be delivered, in their order, bounded in number and in bytes."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import orjson
import structlog

from events.base import JsonObject
from producers.sdk.errors import BufferFullError, RefusedError

log = structlog.get_logger()

Deliver = Callable[[JsonObject], Awaitable[object]]
Refused = Callable[[JsonObject, RefusedError], None]


class Buffer:
    """Delivers what is put into it, one after the other, for as long as `run` runs."""

    def __init__(self, deliver: Deliver, on_refused: Refused | None, *, max_events: int, max_bytes: int) -> None:
        self._deliver = deliver
        self._on_refused = on_refused
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._waiting: deque[tuple[JsonObject, int]] = deque()
        self._bytes = 0
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def events(self) -> list[JsonObject]:
        """What waits, oldest first."""
        return [event for event, _ in self._waiting]

    def put(self, event: JsonObject) -> None:
        """Let one wait. Raises BufferFullError."""
        size = len(orjson.dumps(event))
        if len(self._waiting) >= self._max_events or self._bytes + size > self._max_bytes:
            raise BufferFullError(f"{len(self._waiting)} events of {self._bytes} bytes wait already")
        self._waiting.append((event, size))
        self._bytes += size
        self._emptied.clear()
        self._filled.set()

    async def empty(self) -> None:
        """Wait until everything is delivered or refused."""
        await self._emptied.wait()

    async def run(self) -> None:
        """Deliver until cancelled; `deliver` gives up on an event only by refusing it."""
        while True:
            await self._filled.wait()
            event, size = self._waiting[0]
            try:
                await self._deliver(event)
            except RefusedError as error:
                self._refuse(event, error)
            self._waiting.popleft()
            self._bytes -= size
            if not self._waiting:
                self._filled.clear()
                self._emptied.set()

    def _refuse(self, event: JsonObject, error: RefusedError) -> None:
        if self._on_refused is None:
            log.warning("event_refused", type=event["type"], id=event["id"], code=error.code)
            return
        try:
            self._on_refused(event, error)
        except Exception:  # whoever wrote it may raise anything, and the other events are to be delivered
            log.exception("on_refused_failed", type=event["type"], id=event["id"], code=error.code)
