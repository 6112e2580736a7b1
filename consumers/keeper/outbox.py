"""Publish what was committed: in order, pipelined, again after a failure, never under an old lease (DESIGN 4).

A row leaves the outbox table when its event is read back from the log; here it leaves memory when acknowledged.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import structlog

from consumers.keeper.fold import Outgoing
from events.errors import GanglionError
from producers.publisher import Ack, Publisher

log = structlog.get_logger()

_RETRY = 0.2


class Outbox:
    """Sends state events in the order given. `may_publish` says whether the lease is fresh enough."""

    def __init__(self, publisher: Publisher, may_publish: Callable[[], bool]) -> None:
        self._publisher = publisher
        self._may_publish = may_publish
        self._unsent: deque[Outgoing] = deque()
        self._sent: deque[tuple[Outgoing, asyncio.Future[Ack]]] = deque()
        self._work = asyncio.Event()

    def __len__(self) -> int:
        return len(self._unsent) + len(self._sent)

    async def publish(self, events: Sequence[Outgoing]) -> None:
        """Send at once if nothing older waits, else behind it."""
        self._unsent.extend(events)
        await self._send()
        self._work.set()

    async def run(self) -> None:
        """Watch the acknowledgements; after a failure send everything unacknowledged again, in order."""
        while True:
            if not self._sent:
                self._work.clear()
                if self._unsent:
                    await asyncio.sleep(_RETRY)
                    await self._send()
                else:
                    await self._work.wait()
                continue
            try:
                await self._sent[0][1]
            except GanglionError as error:
                log.warning("outbox_resending", code=error.code, events=len(self))
                await self._start_over()
            else:
                self._sent.popleft()

    async def _start_over(self) -> None:
        for outgoing, future in reversed(self._sent):
            future.cancel()
            self._unsent.appendleft(outgoing)
        self._sent.clear()
        await asyncio.sleep(_RETRY)
        await self._send()

    async def _send(self) -> None:
        while self._unsent and self._may_publish():
            outgoing = self._unsent[0]
            try:
                future = await self._publisher.send_bytes(outgoing.subject, outgoing.body, outgoing.event.id)
            except GanglionError as error:
                log.warning("outbox_waiting", code=error.code, events=len(self))
                return
            future.add_done_callback(_look)
            self._unsent.popleft()
            self._sent.append((outgoing, future))


def _look(future: asyncio.Future[Ack]) -> None:
    """Mark the exception as seen: `run` reads it in order, maybe after a restart of the term."""
    if not future.cancelled():
        future.exception()
