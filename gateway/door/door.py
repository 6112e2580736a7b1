"""Taking an event from outside: judged by its rule, kept, and answered with what became of it (DESIGN 3)."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from events.base import Event, EventData, JsonObject
from events.codec import decode
from events.cursor import Cursor
from events.errors import GanglionError, OutcomeUnknownError, StoreUnavailableError
from events.plan import TaskDecompose
from events.run import RunDelta, RunFinished
from events.task import TaskSubmitted
from gateway.accept import SOURCE, Accepted, Acceptor
from gateway.bus import Bus
from gateway.commits import APPLIED, DUPLICATE, Commits
from gateway.door.arrival import DIGEST, Arrival
from gateway.door.rules import Rules
from gateway.errors import IdempotencyConflictError, LockedError, NotFoundError, OutcomeError, UnansweredError
from gateway.live.previews import Previews
from gateway.tasks.lookup import Recent, Recents
from storage.log import Settled, settled
from storage.reading import Database

LOGGED = EventData.subject_root
_REFUSED = "refused:"
_NO_SUCH = ("unknown_", "no_task", "not_found")
NAMED_BESIDE = "unknown_dependency"
"""What the command is about is there; what it would have it depend on is not."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of an event from outside. `outcome` is None while only the log has it."""

    event: Event[EventData]
    outcome: str | None
    cursor: str | None
    replayed: bool

    def document(self) -> JsonObject:
        """As it is answered; for a task that was asked for, with where to find it."""
        event, data = self.event, self.event.data
        kept = "log" if self.outcome is None else "log+database"
        said: JsonObject = {
            "event_id": event.id,
            "type": event.type,
            "subject": event.subject,
            "outcome": self.outcome,
            "durability": kept if data.subject_root == LOGGED else "memory",
            "cursor": self.cursor,
        }
        if isinstance(data, TaskSubmitted):
            here = f"/api/v1/tasks/{data.task_id}"
            said["task_id"] = str(data.task_id)
            said["links"] = {
                "self": here,
                "events": f"{here}/events",
                "stream": f"{here}/stream",
                "room": f"task:{data.task_id}",
            }
        return said


class Door:
    """Takes events from outside, whichever way they come."""

    def __init__(
        self,
        *,
        rules: Rules,
        acceptor: Acceptor,
        bus: Bus,
        commits: Commits,
        engine: Database,
        recents: Recents,
        previews: Previews,
    ) -> None:
        self.rules = rules
        self._acceptor = acceptor
        self._bus = bus
        self._commits = commits
        self._engine = engine
        self._recents = recents
        self._previews = previews

    async def take(self, arrival: Arrival) -> Receipt:
        """Keep one event, once: a repeat is answered as the first was. Raises a GanglionError that says why not."""
        admitted = await self.rules.rule_for(arrival).admit(arrival)
        event = admitted.model_copy(update={**arrival.stamps, "source": SOURCE, "id": str(arrival.event_id)})
        if isinstance(event.data, RunDelta):
            await self._previews.say(event, event.data)
            return Receipt(event, None, None, replayed=False)
        if event.data.subject_root != LOGGED:
            await self._bus.publish(event)  # said, and gone in minutes: nobody folds it
            return Receipt(event, None, None, replayed=False)
        if isinstance(event.data, RunFinished):
            await self._previews.end(event, event.data.execution_id)
        if (first := await self._kept(arrival)) is not None:
            return _receipt(event, first.outcome, first.at, replayed=True)
        if isinstance(event.data, TaskSubmitted | TaskDecompose):
            self._acceptor.refuse_if_overloaded()
        accepted, first = await self._compared(await self._accept(event, arrival), arrival)
        if first is not None:
            return _receipt(event, first.outcome, first.at, replayed=True)
        replayed = await self._is_repeat(arrival, accepted)
        if accepted.outcome is None:
            self._remember(event)
        return _receipt(event, accepted.outcome, self._place(accepted.seq), replayed=replayed)

    async def _accept(self, event: Event[EventData], arrival: Arrival) -> Accepted:
        try:
            return await self._acceptor.accept(event)
        except OutcomeUnknownError as error:
            if isinstance(event.data, TaskSubmitted):
                raise UnansweredError(event.data.task_id, arrival.attributes.id) from error
            raise

    async def _compared(self, accepted: Accepted, arrival: Arrival) -> tuple[Accepted, Settled | None]:
        """And the same event as it was committed before, if it was. Raises IdempotencyConflictError if it differs.

        While nobody can look, what was committed may have said otherwise: then the outcome is not known.
        """
        if accepted.outcome is None or (accepted.outcome != DUPLICATE and accepted.first_seq is None):
            return accepted, None
        try:
            return accepted, await self._committed(arrival)
        except StoreUnavailableError:
            return replace(accepted, outcome=None), None

    async def _kept(self, arrival: Arrival) -> Settled | None:
        """The same event as it was committed before: NATS knows its repeats for two minutes only."""
        try:
            return await self._committed(arrival) if self._commits.store_answers else None
        except StoreUnavailableError:
            return None

    async def _committed(self, arrival: Arrival) -> Settled | None:
        known = await settled(self._engine, SOURCE, str(arrival.event_id))
        if known is not None:
            _must_say_the_same(known.body, arrival)
        return known

    async def _is_repeat(self, arrival: Arrival, accepted: Accepted) -> bool:
        """Whether the log had this event before; then it must say the same."""
        if accepted.first_seq is None:
            return accepted.outcome == DUPLICATE
        stored = await self._bus.stored(accepted.first_seq)
        if stored is not None:
            _must_say_the_same(stored, arrival)
        return True

    def _place(self, seq: int | None) -> Cursor | None:
        epoch = self._commits.at.epoch
        return Cursor(epoch, seq) if epoch and seq is not None else None

    def _remember(self, event: Event[EventData]) -> None:
        """A task whose row does not exist yet can be asked for all the same."""
        data = event.data
        if isinstance(data, TaskSubmitted):
            spec, at = data.spec, event.time or datetime.now(UTC)
            self._recents.add(
                Recent(data.task_id, event.tenantid, event.ownerid, spec.kind, spec.priority, spec.prompt, at)
            )


def _receipt(event: Event[EventData], outcome: str | None, at: Cursor | None, *, replayed: bool) -> Receipt:
    """Raises OutcomeError for what the keeper refused; a refused task.submitted makes a task, which says why."""
    refused = outcome is not None and outcome.startswith(_REFUSED)
    if outcome is not None and refused and not isinstance(event.data, TaskSubmitted):
        code = outcome.removeprefix(_REFUSED)
        if code == LockedError.code:
            raise LockedError
        raise NotFoundError if code.startswith(_NO_SUCH) and code != NAMED_BESIDE else OutcomeError(code)
    if outcome is not None and not refused and outcome not in {APPLIED, DUPLICATE}:
        raise GanglionError("The event was not understood by the keeper.")
    return Receipt(event, outcome, None if at is None else str(at), replayed)


def _must_say_the_same(body: bytes, arrival: Arrival) -> None:
    first = decode(body)
    if (first.model_extra or {}).get(DIGEST) != arrival.fingerprint:
        raise IdempotencyConflictError("An event of this source and id was sent before and said something else.")
