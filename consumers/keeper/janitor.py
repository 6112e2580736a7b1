"""What the active keeper does by the clock: due times become events, and forgotten work is driven on (DESIGN 4).

Times are Postgres' own. A due time is published as `task.control` until the task's state shows that it was heard.
Who is silent or forgotten is asked only while the tables are level with the log.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError

from consumers.keeper.absence import absences
from consumers.keeper.headroom import Headroom
from consumers.keeper.level import Level
from consumers.keeper.sweep import Sweep
from events.base import Event, EventData
from events.context import ContextChange
from events.errors import BusUnavailableError, LogFullError, OutcomeUnknownError
from events.ids import derived_id
from events.proposal import ProposalDecide
from events.run import RunFinished
from events.task import TaskControl, TaskError
from producers.cancellation import heed_cancellation
from producers.publisher import Publisher
from producers.said import Said
from storage.janitor import Due, DueContext, DueProposal, JanitorStore
from storage.keeper import Position

log = structlog.get_logger()

SOURCE = "/janitor"
TICK = 1.0
SWEEP_EVERY = 5.0
SILENT_AFTER = 90.0
GONE_AFTER = 300.0
LATE = 10.0
"""Seconds that the tables may be behind the log where somebody is judged silent; a quarter of the silence at most."""

Resend = Callable[[Sequence[Event[EventData]], int], Awaitable[None]]
"""Sends events again; so many of them are only offered once more to agents that may have come."""


@dataclass(slots=True)
class Janitor:
    """Runs beside the fold, under the same lease; in a new epoch its first sweep finds all that is open."""

    client: Client
    store: JanitorStore
    publisher: Publisher
    sweeping: bool = True
    silent_after: float = SILENT_AFTER
    gone_after: float = GONE_AFTER
    resent: int = 0
    _sweep: Sweep = field(init=False)
    _level: Level = field(init=False)
    _room: Headroom = field(init=False)
    _next_sweep: float = 0.0

    def __post_init__(self) -> None:
        self._sweep = Sweep(self.client, self.store)
        self._level = Level(self.client, min(LATE, self.silent_after / 4))
        self._room = Headroom(self.client)

    async def run(self, resend: Resend, position: Callable[[], Position]) -> None:
        """Tick until cancelled. Errors of the database end the term; an absent bus only skips a beat."""
        said = Said()
        while True:
            heed_cancellation()
            try:
                await self.tick(resend, position())
                said.clear()
            except (BusUnavailableError, OutcomeUnknownError, LogFullError, NatsError, TimeoutError) as error:
                if said.once(type(error).__name__):
                    log.warning("janitor_skipped", error=type(error).__name__)
            await asyncio.sleep(TICK)

    async def tick(self, resend: Resend, position: Position) -> None:
        """Make room, wake who is due, and drive on what is forgotten."""
        await self._room.look(position.seq)
        is_level = await self._level.reached(position.seq)
        await self._wake_due(is_level=is_level)
        if is_level and self.sweeping and time.monotonic() >= self._next_sweep:
            await self._drive_on(resend, position)
            self._next_sweep = time.monotonic() + (0 if self._sweep.has_more else SWEEP_EVERY)

    async def _wake_due(self, *, is_level: bool) -> None:
        for due in await self.store.due(self.silent_after):
            if is_level or due.why != "silent":
                await self.publisher.send(_event_for(due))
        for absence in await absences(self.store, self.silent_after, self.gone_after) if is_level else ():
            await self.publisher.send(absence)
        for proposal in await self.store.due_proposals():
            await self.publisher.send(_expiry(proposal))
        for context in await self.store.due_contexts():
            await self.publisher.send(_end_of(context))

    async def _drive_on(self, resend: Resend, position: Position) -> None:
        again = await self._sweep.take(position)
        if forgotten := len(again) - self._sweep.offered:
            self.resent += forgotten
            log.warning("swept", resent=forgotten, total=self.resent, epoch=position.epoch)
        if again:
            await resend(again, self._sweep.offered)


def _event_for(due: Due) -> Event[EventData]:
    """The event for a due time; its id is derived from the state it is due in, so ticks do not pile up."""
    data: EventData
    if due.why == "silent" and due.run_id is not None:
        data = RunFinished(
            run_id=due.run_id,
            task_id=due.id,
            attempt=due.attempt,
            execution_id=due.execution_id or derived_id(due.run_id, "never started"),
            agent_id=due.agent_id or "unknown",
            outcome="lost",
            error=TaskError(code="run_lost", message="The agent stopped without a word.", retryable=True),
        )
    elif due.why == "archived":
        data = TaskControl(task_id=due.id, action="cancel", by=SOURCE, reason="session_archived")
    elif due.why == "retry":
        data = TaskControl(task_id=due.id, action="retry", by=SOURCE, attempt=due.attempt)
    elif due.why == "overtime":
        data = TaskControl(task_id=due.id, action="time_out", by=SOURCE, attempt=due.attempt)
    else:
        data = TaskControl(task_id=due.id, action="time_out", by=SOURCE)
    return Event.first(
        data,
        source=SOURCE,
        tenant=due.tenant,
        owner=due.owner,
        session_id=due.session_id,
        task_id=due.id,
        event_id=derived_id(due.id, SOURCE, due.why, due.version),
        traceparent=due.traceparent,
    ).model_copy(update={"correlationid": due.correlation_id})


def _expiry(due: DueProposal) -> Event[EventData]:
    """That nobody decided in time; its id is derived, so ticks do not pile up."""
    return Event.first(
        ProposalDecide(proposal_id=due.id, task_id=due.task_id, decision="expire", by=SOURCE),
        source=SOURCE,
        tenant=due.tenant,
        owner=due.owner,
        session_id=str(due.workflow_id),
        task_id=due.task_id,
        event_id=derived_id(due.id, SOURCE, "expire", due.version),
    )


def _end_of(due: DueContext) -> Event[EventData]:
    """That this version of a context is past its time; its id is derived, so ticks do not pile up."""
    return Event.first(
        ContextChange(context_id=due.id, action="expire", by=SOURCE, expected_version=due.version),
        source=SOURCE,
        tenant=due.tenant,
        owner=due.owner,
        session_id=due.session_id or str(due.id),
        event_id=derived_id(due.id, SOURCE, "expire", due.version),
    )
