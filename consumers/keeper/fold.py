"""Fold one batch of the log: every event in order, what it leads to folded before the next (DESIGN 4)."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from consumers.keeper.rows import (
    life_row,
    log_row,
    run_row,
    task_row,
    tool_call_row,
    undecoded_row,
    verdict_row,
)
from consumers.keeper.state import TaskState
from consumers.keeper.task import RefusedError, decide, evolve
from events.base import Event, EventData
from events.codec import decode, encode
from events.errors import InvalidEventError, UnknownEventTypeError
from events.run import RunFinished, RunStarted, RunToolCalled
from events.subjects import subject_of
from events.task import TaskChecked, TaskControl, TaskEntered, TaskSubmitted
from producers.reader import Delivery, Hole
from storage.keeper import Changes
from storage.unnest import Row

SOURCE = "/keeper"
_REQUESTS = (TaskSubmitted, TaskControl)
"""Somebody may be waiting for what becomes of these."""
MAX_BODY = 1_000_000
"""Bytes: below the server's payload limit of 1 MiB with room for headers; a larger event would block the outbox."""
_SHORT = 1_000
APPLIED, DUPLICATE, POISON, UNKNOWN = "applied", "duplicate", "poison", "unknown"


class Inbound(NamedTuple):
    """One delivery and the event in it; `fault` says why there is none."""

    delivery: Delivery
    event: Event[EventData] | None
    fault: InvalidEventError | None = None

    @property
    def own(self) -> bool:
        """Whether the keeper itself published it: it is logged, never folded again."""
        return self.event is not None and self.event.source == SOURCE


class Outgoing(NamedTuple):
    """A state event to publish once the batch is committed."""

    position: int
    event: Event[EventData]
    subject: str
    body: bytes


class OwnEvents(Protocol):
    """The keeper's own events that are on their way back from the log."""

    def get(self, event_id: str) -> Event[EventData] | None:
        """The event with this id, if it is one of them."""


def read(delivery: Delivery, own: OwnEvents) -> Inbound:
    """Decode a delivery; an event of ours that is still remembered by its id costs no parsing."""
    message_id = (delivery.headers or {}).get("Nats-Msg-Id", "")
    remembered = own.get(message_id)
    if remembered is not None:
        return Inbound(delivery, remembered)
    try:
        return Inbound(delivery, decode(delivery.body, delivery.headers))
    except InvalidEventError as fault:
        return Inbound(delivery, None, fault)


def touched(inbound: Iterable[Inbound]) -> list[UUID]:
    """The tasks whose rows the fold of these needs."""
    found = {item.event.taskid for item in inbound if item.event is not None and not item.own}
    return [task_id for task_id in found if task_id is not None]


@dataclass(slots=True)
class Fold:
    """One batch being folded. `known` are (source, id) pairs that the log has already."""

    epoch: str
    tasks: dict[UUID, TaskState]
    next_outbox: int
    known: set[tuple[str, str]] = field(default_factory=set)
    changes: Changes = field(default_factory=Changes)
    outcomes: dict[str, str] = field(default_factory=dict)
    outgoing: list[Outgoing] = field(default_factory=list)
    dead: list[tuple[Inbound, str]] = field(default_factory=list)
    _changed: dict[UUID, None] = field(default_factory=dict)
    _runs: dict[UUID, Row] = field(default_factory=dict)

    def take(self, item: Inbound) -> None:
        """Fold one event and note its outcome."""
        event, delivery = item.event, item.delivery
        if event is None:
            self._keep_undecoded(item)
            return
        key = (event.source, event.id)
        own = event.source == SOURCE
        if key in self.known:
            self.changes.repeats.append((self.epoch, delivery.seq, *key))
            outcome = DUPLICATE
        else:
            self.known.add(key)
            at = delivery.time
            outcome = APPLIED if own else self._apply(event, at)
            self.changes.log.append(log_row(self.epoch, delivery, at, event, outcome))
        if own:
            self.changes.read_back.append(event.id)
        elif type(event.data) in _REQUESTS:
            self._note_outcome(event.id, outcome)

    def take_hole(self, hole: Hole, at: datetime) -> None:
        """Note sequences that the stream lost."""
        self.changes.gaps.append((self.epoch, hole.first_seq, hole.last_seq, at))

    def take_poison(self, item: Inbound, reason: str) -> None:
        """Keep an event that cannot be folded as bytes, and end its task instead of leaving it to wait."""
        self.dead.append((item, reason))
        delivery, event = item.delivery, item.event
        if event is None:
            self.changes.log.append(undecoded_row(self.epoch, delivery, POISON))
            return
        self.changes.log.append(log_row(self.epoch, delivery, delivery.time, event, POISON))
        if isinstance(event.data, _REQUESTS):
            self._note_outcome(event.id, POISON)
        if event.taskid is None or event.taskid not in self.tasks:
            return
        failing = TaskControl(task_id=event.taskid, action="fail", by=SOURCE, reason="internal_error")
        self._apply(event.model_copy(update={"data": failing}), delivery.time)

    def changed(self) -> list[TaskState]:
        """The tasks that the batch changed, as they are after it."""
        return [self.tasks[task_id] for task_id in self._changed]

    def finish(self) -> Changes:
        """The rows to write, each task once with its last state."""
        for task in self.changed():
            if task.birth is not None:
                self.changes.new_tasks.append(task_row(task))
            else:
                self.changes.changed_tasks.append((task.id, *life_row(task)))
        self.changes.runs = list(self._runs.values())
        return self.changes

    def _keep_undecoded(self, item: Inbound) -> None:
        delivery = item.delivery
        outcome = UNKNOWN if isinstance(item.fault, UnknownEventTypeError) else POISON
        if outcome == POISON:
            self.dead.append((item, str(item.fault)))
        self.changes.log.append(undecoded_row(self.epoch, delivery, outcome))

    def _apply(self, event: Event[EventData], at: datetime) -> str:
        task_id = event.taskid
        if task_id is None or getattr(event.data, "task_id", task_id) != task_id:
            return "refused:no_task"
        task = self.tasks.get(task_id)
        try:
            entered = decide(task, event, at)
        except RefusedError as refusal:
            return f"refused:{refusal.code}"
        task = evolve(task, event, at)
        for index, data in enumerate(entered):
            state = event.caused(data, source=SOURCE, index=index, time=at, version=data.version)
            task = evolve(task, state, at)
            self.publish(state)
        if task is not None:
            self.tasks[task_id] = task
            self._changed[task_id] = None
        self._note_fact(event.data, at)
        return APPLIED

    def _note_outcome(self, event_id: str, outcome: str) -> None:
        """What became of a request; a repeat in the same batch does not hide what became of the first."""
        if outcome == DUPLICATE:
            self.outcomes.setdefault(event_id, outcome)
        else:
            self.outcomes[event_id] = outcome

    def publish(self, event: Event[EventData]) -> None:
        """Put an event of ours into the outbox."""
        subject, body = subject_of(event), encode(event)
        if len(body) > MAX_BODY and isinstance(event.data, TaskEntered):
            event = event.model_copy(update={"data": _shortened(event.data)})
            body = encode(event)
        self.outgoing.append(Outgoing(self.next_outbox, event, subject, body))
        self.changes.outbox.append((self.next_outbox, event.id, subject, body))
        self.next_outbox += 1

    def _note_fact(self, data: EventData, at: datetime) -> None:
        """Rows beside the task's: what ran, what was judged, which tools were used."""
        if isinstance(data, TaskChecked):
            self.changes.verdicts.append(verdict_row(data, at))
        elif isinstance(data, RunStarted | RunFinished):
            self._note_run(data, at)
        elif isinstance(data, RunToolCalled):
            self.changes.tool_calls.append(tool_call_row(data, at))

    def _note_run(self, data: RunStarted | RunFinished, at: datetime) -> None:
        """One row a run and batch: Postgres upserts a row only once in a statement."""
        row = run_row(data, at)
        started = self._runs.get(data.run_id)
        if started is not None and isinstance(data, RunFinished):
            row = (*row[:6], started[6], *row[7:])
        self._runs[data.run_id] = row


def _shortened(data: TaskEntered) -> TaskEntered:
    """A state without what makes it too large for the bus: who wants the result asks for the task."""
    error = data.error and data.error.model_copy(update={"message": data.error.message[:_SHORT]})
    return data.model_copy(update={"result": None, "error": error, "reason": data.reason and data.reason[:_SHORT]})


def is_own_state(subject: str) -> bool:
    """Whether a subject is one that only the keeper publishes on, without looking into the body."""
    tokens = subject.split(".")
    return len(tokens) == 5 and tokens[2] == "task" and tokens[3] in _STATES


_STATES = frozenset(event.event_name for event in TaskEntered.__subclasses__())
