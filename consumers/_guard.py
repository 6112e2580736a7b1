"""What agents bring back passes through here before it is published: one place, whatever consumer the agent runs in.

Facts are screened whole; the token stream is redacted as it comes, held back by 128 characters at most, and after
150 ms of silence only by what may be the beginning of a secret.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import TypeVar

from prometheus_client import Counter

from events.base import Event, EventData
from events.errors import TransientError
from events.run import RunDelta, RunEvent, RunFinished
from screening.outgoing import Concern, Outgoing, texts_of_fact
from screening.redaction import Placeholders
from screening.stream import StreamRedactor

PAUSE = 0.15
_LONG = 20_000
_CHANGED = Counter("ganglion_reflex_outgoing_total", "Facts of agents with findings.", ["event"])

Handler = Callable[[Event[EventData]], AsyncIterator[EventData]]
Known = Callable[[str, str], Awaitable[dict[str, str]]]
"""The placeholders that a tenant's session has: their names by tag."""

T = TypeVar("T")


async def nobody_knows(_tenant: str, _session: str) -> dict[str, str]:
    """No session has any placeholder."""
    return {}


class OutputGuard:
    """Wraps handlers whose outputs an agent wrote."""

    def __init__(self, outgoing: Outgoing, known: Known = nobody_knows) -> None:
        self._outgoing = outgoing
        self._known = known

    def around(self, handler: Handler) -> Handler:
        """The same handler with its outputs screened."""

        async def guarded(event: Event[EventData]) -> AsyncGenerator[EventData]:
            speech = Speech(self._outgoing)
            async with aclosing(_with_pauses(handler(event), speech)) as outputs:
                async for output in outputs:
                    for said in speech.then(output):
                        yield said
                    if output is not None and not isinstance(output, RunDelta):
                        yield await self.fact(output, event) if isinstance(output, RunEvent) else output
            for said in speech.end():
                yield said

        return guarded

    async def fact(self, data: RunEvent, cause: Event[EventData]) -> RunEvent:
        """One fact as it may be published; `cause` says whose it is."""
        tenant, session = cause.tenantid, cause.sessionid or str(data.task_id)
        concern = await self._concern(data, tenant)
        if concern is None:
            return data
        _CHANGED.labels(data.event_name).inc()
        names = self._outgoing.names(await self._names(tenant, session), tenant=tenant, session=session)
        return self._outgoing.settle(data, concern, names, tenant=tenant, session=session)

    async def _names(self, tenant: str, session: str) -> dict[str, str]:
        """The session's names; when they cannot be had, the keeper puts the numbers right."""
        try:
            return await self._known(tenant, session)
        except TransientError:
            return {}

    async def _concern(self, data: RunEvent, tenant: str) -> Concern | None:
        """Long facts are read beside the event loop."""
        if sum(map(len, texts_of_fact(data).values())) > _LONG:
            return await asyncio.to_thread(self._outgoing.concern, data, tenant=tenant)
        return self._outgoing.concern(data, tenant=tenant)


class Speech:
    """The token stream of one execution, redacted: deltas in, deltas out, numbered anew."""

    def __init__(self, outgoing: Outgoing) -> None:
        self._screener = outgoing.screener
        self._stream: StreamRedactor | None = None
        self._last: RunDelta | None = None
        self._seq = self._offset = 0

    @property
    def waits(self) -> bool:
        """Whether something is held back that a pause may free."""
        return self._stream is not None and self._stream.holds

    def then(self, output: EventData | None) -> list[RunDelta]:
        """What may be said now: after a delta, before another fact, at the end of the run, or (None) in a pause."""
        if isinstance(output, RunDelta):
            self._last = output
            self._stream = self._stream or StreamRedactor(self._screener, Placeholders())
            return self._say(self._stream.feed(output.text))
        if isinstance(output, RunFinished):
            return self.end()
        return self._say(self._stream.idle()) if self._stream else []

    def end(self) -> list[RunDelta]:
        """What is left."""
        return self._say(self._stream.close()) if self._stream else []

    def _say(self, text: str) -> list[RunDelta]:
        if not text or self._last is None:
            return []
        self._seq += 1
        said = self._last.model_copy(update={"seq": self._seq, "offset": self._offset, "text": text})
        self._offset += len(text)
        return [said]


async def _with_pauses(outputs: AsyncIterator[T], speech: Speech) -> AsyncGenerator[T | None]:
    """The outputs as they come, and a None whenever speech is held back and nothing came for 150 ms."""
    iterator = outputs.__aiter__()
    coming: asyncio.Task[T] | None = None
    try:
        while True:
            try:
                if coming is None and not speech.waits:
                    yield await iterator.__anext__()
                    continue
                coming = coming or asyncio.ensure_future(_next(iterator))
                if not (await asyncio.wait({coming}, timeout=PAUSE if speech.waits else None))[0]:
                    yield None
                    continue
                done, coming = coming, None
                yield done.result()
            except StopAsyncIteration:
                return
    finally:
        if coming is not None:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
        if isinstance(iterator, AsyncGenerator):
            await iterator.aclose()


async def _next(iterator: AsyncIterator[T]) -> T:
    return await iterator.__anext__()
