"""What outside agents are saying while they work, redacted before it is published: as with our own agents, at most 128
characters are held back, and after 150 ms of silence only what may be the beginning of a secret.

A piece is joined to the one before it by its `offset`. Of one that does not follow (the agent speaks through several
gateways, or lost a piece) nothing is shown up to its first line end, because a secret may be cut at its beginning; the
hole shows as any other. The whole is in `run.finished`, which is screened whole.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from uuid import UUID

from events.base import Event, EventData
from events.errors import TransientError
from events.ids import derived_text
from events.run import RunDelta
from screening.engine import Screener
from screening.speech import PAUSE, Speech

MOST = 10_000
"""Executions whose last words are kept; of the one that was silent for longest they are forgotten first."""

Publish = Callable[[Event[EventData]], Awaitable[object]]


class _Saying:
    """One execution: its stream, the place up to which it was heard, and who is at it."""

    def __init__(self, screener: Screener, tenant: str) -> None:
        self.speech = Speech(screener, tenant)
        self.heard = 0
        self.broken = False
        self.lock = asyncio.Lock()
        self.count = 0
        self.pause: asyncio.Task[None] | None = None

    def hear(self, delta: RunDelta) -> list[RunDelta]:
        """What may be said now. What was heard before is passed over; after a hole a new line must begin."""
        end = delta.offset + len(delta.text)
        if end <= self.heard:
            return []
        text = delta.text[max(0, self.heard - delta.offset) :]
        said: list[RunDelta] = []
        if delta.offset > self.heard:
            said = self.speech.end()
            self.speech.skip(delta.offset - self.heard)
            self.broken = True
        self.heard = end
        if self.broken:
            line = text.find("\n") + 1
            self.speech.skip(line or len(text))
            self.broken, text = not line, text[line:] if line else ""
        return said + (self.speech.feed(delta.model_copy(update={"text": text})) if text else [])


class Previews:
    """The token streams of all outside agents at one gateway; `publish` puts a delta on the bus."""

    def __init__(self, screener: Callable[[], Awaitable[Screener]], publish: Publish) -> None:
        self._screener = screener
        self._publish = publish
        self._sayings: OrderedDict[tuple[str, UUID], _Saying] = OrderedDict()

    async def say(self, event: Event[EventData], delta: RunDelta) -> None:
        """Publish what may be said of a run now that `delta` has come. Raises what `publish` raises."""
        key = (event.tenantid, delta.execution_id)
        saying = self._sayings.get(key)
        if saying is None:
            saying = self._sayings.setdefault(key, _Saying(await self._screener(), event.tenantid))
        self._sayings.move_to_end(key)
        while len(self._sayings) > MOST:
            _hush(self._sayings.popitem(last=False)[1])
        async with saying.lock:
            _hush(saying)
            await self._out(saying, event, saying.hear(delta.model_copy(update={"findings": None, "sealed": None})))
            if saying.speech.waits:
                saying.pause = asyncio.create_task(self._after_a_pause(saying, event), name="preview-pause")

    async def end(self, event: Event[EventData], execution: UUID) -> None:
        """The run has ended: publish what was held back."""
        saying = self._sayings.pop((event.tenantid, execution), None)
        if saying is not None:
            async with saying.lock:
                _hush(saying)
                await self._out(saying, event, saying.speech.end())

    async def close(self) -> None:
        """Forget everything that is held back."""
        pauses = [saying.pause for saying in self._sayings.values() if saying.pause is not None]
        for saying in self._sayings.values():
            _hush(saying)
        self._sayings.clear()
        await asyncio.gather(*pauses, return_exceptions=True)

    async def _after_a_pause(self, saying: _Saying, event: Event[EventData]) -> None:
        await asyncio.sleep(PAUSE)
        async with saying.lock:
            saying.pause = None
            with suppress(TransientError):  # a hole in the preview; the whole is in run.finished
                await self._out(saying, event, saying.speech.pause())

    async def _out(self, saying: _Saying, event: Event[EventData], deltas: list[RunDelta]) -> None:
        """Publish with ids that come from the event that let the words out, and from how many came before."""
        for delta in deltas:
            saying.count += 1
            number = derived_text(event.id, "preview", saying.count)
            await self._publish(event.model_copy(update={"id": number, "data": delta}))


def _hush(saying: _Saying) -> None:
    """Stop its pause, unless that is already letting words out."""
    if saying.pause is not None:
        saying.pause.cancel()
        saying.pause = None
