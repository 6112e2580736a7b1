"""Fold one batch of the log: every event in order, what it leads to folded before the next (DESIGN 4)."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from consumers.keeper.aggregates import BY_KIND, concerned
from consumers.keeper.placeholders import named
from consumers.keeper.rows import log_row, undecoded_row
from consumers.keeper.state import TaskState
from consumers.keeper.world import Effect, Key, RefusedError, World
from events.base import CATALOGUE, Event, EventData
from events.codec import decode, encode
from events.errors import InvalidEventError, UnknownEventTypeError
from events.message import MessageAppended
from events.plan import TaskDecompose
from events.proposal import ProposalEntered
from events.subjects import subject_of
from events.task import TaskControl, TaskEntered, TaskSubmitted
from producers.reader import Delivery, Hole
from storage.keeper import Changes

SOURCE = "/keeper"
LATER = "/consumers/keeper"
"""The source of what the keeper asks of itself: it is folded when the log brings it back."""
MAX_BODY = 1_000_000
"""Bytes: below the server's payload limit of 1 MiB with room for headers; a larger event would block the outbox."""
_SHORT = 1_000
_SAID = 100_000
"""Characters of a message that surely fit, six bytes each."""
APPLIED, DUPLICATE, POISON, UNKNOWN = "applied", "duplicate", "poison", "unknown"
POISON_ALONE = f"{POISON}:alone"
"""Poison whose task could not be ended either; a rebuild must not try that."""


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


def touched(inbound: Iterable[Inbound]) -> list[Key]:
    """The states that the fold of these surely needs."""
    found: dict[Key, None] = {}
    for item in inbound:
        if item.event is not None and not item.own:
            for aggregate in concerned(type(item.event.data)):
                found.update(dict.fromkeys(aggregate.touches(item.event)))
    return list(found)


def presumed_new(inbound: Iterable[Inbound]) -> Iterable[Key]:
    """The tasks that are asked for here: nearly always nobody has asked for them before, and nothing need be loaded.

    If that is wrong, the row cannot be inserted.
    """
    for item in inbound:
        event = item.event
        if event is None or item.own or event.resendof is not None:
            continue
        if event.taskid and isinstance(event.data, TaskSubmitted):
            yield Key(TaskState, event.taskid)


@dataclass(slots=True)
class Fold:
    """One batch being folded. `known` are (source, id) pairs that the log has already; `taken` items are folded."""

    epoch: str
    world: World
    next_outbox: int
    known: set[tuple[str, str]] = field(default_factory=set)
    changes: Changes = field(default_factory=Changes)
    outcomes: dict[str, str] = field(default_factory=dict)
    outgoing: list[Outgoing] = field(default_factory=list)
    dead: list[tuple[Inbound, str]] = field(default_factory=list)
    taken: int = 0

    def take(self, item: Inbound) -> None:
        """Fold one event and note its outcome."""
        event, delivery = item.event, item.delivery
        if event is None:
            self._keep_undecoded(item)
            return
        key = (event.source, event.id)
        own = event.source == SOURCE
        if key in self.known:
            self.changes.add("repeated", (self.epoch, delivery.seq, *key))
            outcome = DUPLICATE
        else:
            self.known.add(key)
            at = delivery.time
            outcome = APPLIED if own else self._apply(event, at)
            self.changes.add("logged", log_row(self.epoch, delivery, at, event, outcome))
        if own or event.source == LATER:
            self.changes.read_back.append(event.id)
        elif not is_internal(event.source):
            self._note_outcome(event.id, outcome)

    def take_hole(self, hole: Hole, at: datetime) -> None:
        """Note sequences that the stream lost."""
        self.changes.add("gaps", (self.epoch, hole.first_seq, hole.last_seq, at))

    def take_poison(self, item: Inbound, reason: str, *, alone: bool = False) -> None:
        """Keep an event that cannot be folded as bytes, and end its task instead of leaving it to wait.

        `alone`: its task cannot be ended either, and is left as it is.
        """
        self.dead.append((item, reason))
        delivery, event = item.delivery, item.event
        if event is None:
            self.changes.add("logged", undecoded_row(self.epoch, delivery, POISON))
            return
        outcome = POISON_ALONE if alone else POISON
        self.changes.add("logged", log_row(self.epoch, delivery, delivery.time, event, outcome))
        if not is_internal(event.source):
            self._note_outcome(event.id, outcome)
        if alone or event.taskid is None or self.world.get(TaskState, event.taskid) is None:
            return
        failing = TaskControl(task_id=event.taskid, action="fail", by=SOURCE, reason="internal_error")
        self._apply(event.model_copy(update={"data": failing}), delivery.time)

    def finish(self) -> Changes:
        """The rows to write, each state once as it is after the batch."""
        for key, state in self.world.changed():
            self.changes.add(*BY_KIND[key.kind].row_of(state))
        self.changes.rows.update(self.world.rows())
        return self.changes

    def _keep_undecoded(self, item: Inbound) -> None:
        delivery = item.delivery
        outcome = UNKNOWN if isinstance(item.fault, UnknownEventTypeError) else POISON
        if outcome == POISON:
            self.dead.append((item, str(item.fault)))
        self.changes.add("logged", undecoded_row(self.epoch, delivery, outcome))

    def _apply(self, event: Event[EventData], at: datetime) -> str:
        event = named(self.world, event)
        try:
            effects = self._decide(event, at)
        except RefusedError as refusal:
            return f"refused:{refusal.code}"
        self._follow(event, effects, at)
        return APPLIED

    def _decide(self, event: Event[EventData], at: datetime) -> list[Effect]:
        aggregates = concerned(type(event.data))
        return [effect for aggregate in aggregates for effect in aggregate.decide(self.world, event, at)]

    def _follow(self, event: Event[EventData], effects: Sequence[Effect], at: datetime) -> None:
        """Let the event change the states, then each event it leads to, with all that follows from that.

        Not by calling itself: a queue of a thousand tasks that are skipped one after the other is as deep.
        """
        self.world.led_to = len(effects)
        under_way = [self._led_to(event, effects, at)]
        while under_way:
            caused = next(under_way[-1], None)
            if caused is None:
                under_way.pop()
            else:
                more = self._decide(caused, at)
                self.world.led_to += len(more)
                under_way.append(self._led_to(caused, more, at))

    def _led_to(self, event: Event[EventData], effects: Sequence[Effect], at: datetime) -> Iterator[Event[EventData]]:
        """Let the event change the states, then publish what it leads to; each is followed before the next."""
        for aggregate in concerned(type(event.data)):
            aggregate.evolve(self.world, event, at)
        for index, effect in enumerate(effects):
            if self._is_overtaken(effect):
                continue
            source = LATER if isinstance(effect.data, TaskControl) else SOURCE
            caused = event.caused(
                effect.data, source=source, index=index, time=at, version=effect.version, about=effect.about
            )
            if effect.about.task_id != event.taskid:  # a queue of tasks is no loop
                caused = caused.model_copy(update={"hopcount": 1})
            self.publish(caused)
            if not self._is_for_others(effect):
                yield caused

    def _is_for_others(self, effect: Effect) -> bool:
        """What is asked for again is a reactor's and new to nobody here; what is left for later is folded then.

        Only a step of a plan is asked for the first time: it is born here, in the same commit as the others.
        """
        if isinstance(effect.data, TaskSubmitted):
            return self.world.get(TaskState, effect.data.task_id) is not None
        return isinstance(effect.data, TaskControl | TaskDecompose)

    def _is_overtaken(self, effect: Effect) -> bool:
        """Whether the task has moved since: another effect of the same cause ended it, or let it go on."""
        data = effect.data
        task = self.world.get(TaskState, data.task_id) if isinstance(data, TaskEntered) else None
        return task is not None and task.version + 1 != effect.version

    def _note_outcome(self, event_id: str, outcome: str) -> None:
        """What became of a request; a repeat in the same batch does not hide what became of the first."""
        if outcome == DUPLICATE:
            self.outcomes.setdefault(event_id, outcome)
        else:
            self.outcomes[event_id] = outcome

    def publish(self, event: Event[EventData]) -> None:
        """Put an event of ours into the outbox."""
        subject, body = subject_of(event), encode(event)
        if len(body) > MAX_BODY and isinstance(event.data, _Shortenable):
            event = event.model_copy(update={"data": _shortened(event.data)})
            body = encode(event)
        self.outgoing.append(Outgoing(self.next_outbox, event, subject, body))
        self.changes.add("sent", (self.next_outbox, event.id, subject, body))
        self.next_outbox += 1


def is_internal(source: str) -> bool:
    """Whether an event comes from a part of ours that waits for no answer."""
    return source.startswith(("/consumers/", "/janitor"))


_Shortenable = TaskEntered | MessageAppended | ProposalEntered


def _shortened(data: _Shortenable) -> _Shortenable:
    """A state without what makes it too large for the bus: who wants all of it asks for what it is about."""
    if isinstance(data, ProposalEntered):
        return data.model_copy(update={"applied": (), "removed": (), "conflicts": ()})
    if isinstance(data, MessageAppended):
        return data.model_copy(update={"content": data.content[:_SAID], "truncated": True})
    error = data.error and data.error.model_copy(update={"message": data.error.message[:_SHORT]})
    return data.model_copy(update={"result": None, "error": error, "reason": data.reason and data.reason[:_SHORT]})


def is_own_state(subject: str) -> bool:
    """Whether a subject is one that only the keeper publishes on, without looking into the body."""
    tokens = subject.split(".")
    return len(tokens) == 5 and (tokens[2], tokens[3]) in _STATES


_STATES = frozenset((event.aggregate, n) for event in CATALOGUE.values() if event.is_state for n in event.subject_names)
