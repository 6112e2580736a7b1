"""Engine cleanup: what a resolved refinement left on the spec engine is deleted, tried again until it is.

proposal.{approved, rejected, superseded, expired} and task.{cancelled, failed, timed_out} -> nothing on the bus.
"""

import asyncio
from collections.abc import AsyncGenerator
from uuid import UUID

import structlog

from consumers._breaker import BreakerOpenError
from consumers._engine.client import SpecEngineClient
from consumers._engine.errors import EngineAwayError, EngineRefusedError
from consumers._engine.settings import EngineSettings
from consumers._runtime import Resources, Slots
from events.base import Event, EventData
from events.errors import StoreUnavailableError
from events.proposal import ProposalEntered
from events.spans import Spans, SpanSettings
from events.streams import ENGINE_CLEANUP
from events.task import TaskEntered
from storage.lookup import Lookup

log = structlog.get_logger()

_PAUSES = (1.0, 60.0)


class EngineCleanup:
    """Deletes one thread a message. The message is held while the engine is away: no delivery is used up by waiting."""

    def __init__(self, client: SpecEngineClient, lookup: Lookup, *, pauses: tuple[float, float] = _PAUSES) -> None:
        self._client = client
        self._lookup = lookup
        self._pauses = pauses

    async def clean(self, event: Event[EventData]) -> AsyncGenerator[EventData]:
        """Delete the thread of the refinement that the event is about, if it is about one."""
        if (task_id := refinement_of(event.data)) is not None:
            attempt = event.data.attempt if isinstance(event.data, TaskEntered) else None
            await self._delete(self._client.traced(event.traceparent), task_id, attempt)
        return
        yield  # a slot's handler is a generator, and this one has nothing to say

    async def _delete(self, client: SpecEngineClient, task_id: UUID, attempt: int | None) -> None:
        pause, longest = self._pauses
        while True:
            try:
                if not await self._is_tried_again(task_id, attempt):
                    await client.cleanup(str(task_id))
            except (EngineAwayError, BreakerOpenError, EngineRefusedError, StoreUnavailableError) as error:
                # A refusal too: a token that is wrong today is mended by the operator.
                log.warning("engine_not_cleaned", thread_id=str(task_id), code=error.code, again_in=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, longest)
            else:
                return

    async def _is_tried_again(self, task_id: UUID, attempt: int | None) -> bool:
        """Whether somebody had a failed task tried again while we waited: the thread is the next attempt's then."""
        if attempt is None:
            return False
        task = await self._lookup.task(task_id)
        return task is not None and task.attempt > attempt


def refinement_of(data: EventData) -> UUID | None:
    """The task, and thread, that is over; None if the event is not about a refinement."""
    if isinstance(data, ProposalEntered):
        return data.task_id
    return data.task_id if isinstance(data, TaskEntered) and data.kind == "refinement" else None


async def _nothing() -> None:
    """It hears nothing besides."""


def build(resources: Resources) -> Slots:
    """The consumer, for the engine that the environment names."""
    client = SpecEngineClient(EngineSettings(), Spans.of_service("ganglion-consumers", SpanSettings()))
    cleanup = EngineCleanup(client, resources.lookup)
    return Slots(ENGINE_CLEANUP, cleanup.clean, start=_nothing)
