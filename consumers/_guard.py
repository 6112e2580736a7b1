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
from screening.speech import PAUSE, Speech

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
            speech = Speech(self._outgoing.screener, event.tenantid)
            async with aclosing(_with_pauses(handler(event), speech)) as outputs:
                async for output in outputs:
                    for said in _said(speech, output):
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
        texts = texts_of_fact(data)
        if sum(map(len, texts.values())) > _LONG:
            return await asyncio.to_thread(self._outgoing.concern, data, tenant=tenant, texts=texts)
        return self._outgoing.concern(data, tenant=tenant, texts=texts)


def _said(speech: Speech, output: EventData | None) -> list[RunDelta]:
    """What may be said now: after a delta, before another fact, at the end of the run, or (None) in a pause."""
    if isinstance(output, RunDelta):
        return speech.feed(output)
    return speech.end() if isinstance(output, RunFinished) else speech.pause()


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
