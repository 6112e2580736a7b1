"""What the active keeper does by the clock: due times become events, and forgotten work is driven on (DESIGN 4).

Times are Postgres' own. A due time is published as `task.control` until the task's state shows that it was heard.
The sweep re-sends a task's driving event only if it belongs to an older epoch, or lies below its consumer's ack
floor although the task has not moved for 15 s; it is ~0 when only processes die.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError

from consumers._cancellation import heed_cancellation
from consumers.keeper.absence import absences
from consumers.keeper.headroom import Headroom
from events.agent import is_outside
from events.base import Event, EventData
from events.codec import decode_structured
from events.errors import BusUnavailableError, LogFullError, OutcomeUnknownError
from events.ids import derived_id, new_id
from events.proposal import ProposalDecide
from events.run import RunFinished
from events.streams import BUS, DISPATCH, ENGINE_AGENT, PROPOSALS, REFLEX, ROUTER, RUNNER, SPEC_ENGINE
from events.task import TaskControl, TaskError
from producers.publisher import Publisher
from storage.janitor import Due, DueProposal, JanitorStore, Stuck
from storage.keeper import Position

log = structlog.get_logger()

SOURCE = "/janitor"
TICK = 1.0
SWEEP_EVERY = 5.0
STUCK_AFTER = 15.0
SILENT_AFTER = 90.0
UNROUTABLE_AFTER = 300.0
"""Seconds after which a task without an agent is offered to the router again: its agents may have changed."""

_DRIVES: dict[str, str] = {
    "submitted": REFLEX.name,
    "ready": ROUTER.name,
    "assigned": RUNNER.name,
    "extracting": PROPOSALS.name,
}
_RUNS: dict[str | None, str] = {ENGINE_AGENT: SPEC_ENGINE.name}
"""Agents that have a consumer of their own; the runner acknowledges what is for them, and for outside agents."""

Resend = Callable[[Sequence[Event[EventData]]], Awaitable[None]]


@dataclass(slots=True)
class Janitor:
    """Runs beside the fold, under the same lease; in a new epoch its first sweep finds all that is open."""

    client: Client
    store: JanitorStore
    publisher: Publisher
    sweeping: bool = True
    silent_after: float = SILENT_AFTER
    resent: int = 0

    async def run(self, resend: Resend, position: Callable[[], Position]) -> None:
        """Tick until cancelled. Errors of the database end the term; an absent bus only skips a beat."""
        swept: dict[UUID, float] = {}
        next_sweep = 0.0
        room = Headroom(self.client)
        while True:
            heed_cancellation()
            try:
                await room.look(position().seq)
                await self._wake_due()
                if self.sweeping and time.monotonic() >= next_sweep:
                    await self._sweep(resend, position(), swept)
                    next_sweep = time.monotonic() + SWEEP_EVERY
            except (BusUnavailableError, OutcomeUnknownError, LogFullError, NatsError, TimeoutError) as error:
                log.warning("janitor_skipped", error=type(error).__name__)
            await asyncio.sleep(TICK)

    async def _wake_due(self) -> None:
        for due in await self.store.due(self.silent_after):
            await self.publisher.send(_event_for(due))
        for absence in await absences(self.store, self.silent_after):
            await self.publisher.send(absence)
        for proposal in await self.store.due_proposals():
            await self.publisher.send(_expiry(proposal))

    async def _sweep(self, resend: Resend, position: Position, swept: dict[UUID, float]) -> None:
        stuck = await self.store.stuck(STUCK_AFTER, position.epoch, unroutable_after=UNROUTABLE_AFTER)
        floors = await self._ack_floors() if stuck else {}
        now = time.monotonic()
        again: list[Event[EventData]] = []
        for task in stuck:
            below = task.epoch == position.epoch and task.seq <= floors.get(_driver(task), 0)
            if now - swept.get(task.id, -STUCK_AFTER) < STUCK_AFTER or not (task.epoch < position.epoch or below):
                continue
            swept[task.id] = now
            again.append(_resent(task))
        if again:
            self.resent += len(again)
            log.warning("swept", resent=len(again), total=self.resent, epoch=position.epoch)
            await resend(again)
        for old in [task_id for task_id, at in swept.items() if now - at > 4 * STUCK_AFTER]:
            del swept[old]

    async def _ack_floors(self) -> dict[str, int]:
        js = self.client.jetstream()
        floors: dict[str, int] = {}
        for name in {*_DRIVES.values(), *_RUNS.values(), DISPATCH.name}:
            floor = (await js.consumer_info(BUS.name, name)).ack_floor
            floors[name] = floor.stream_seq if floor is not None else 0
        return floors


def _driver(task: Stuck) -> str:
    """The durable whose work it is to move a task or proposal."""
    if task.status != "assigned" or task.agent_id is None:
        return _DRIVES[task.status]
    return DISPATCH.name if is_outside(task.agent_id) else _RUNS.get(task.agent_id, RUNNER.name)


def _resent(task: Stuck) -> Event[EventData]:
    """The driving event under a new id: the old one is in the dedupe window and in the log."""
    original = decode_structured(task.body)
    return original.model_copy(update={"id": str(new_id()), "source": "/keeper", "resendof": original.id})


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
