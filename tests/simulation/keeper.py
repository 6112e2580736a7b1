"""The keeper without a database: its real fold over tables in memory, a commit that is atomic, an outbox that is not.

It may be killed between any two steps. A new one folds to the log's end and then publishes what is left, as
consumers/keeper/term.py does.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from consumers.keeper.agent_state import AgentState
from consumers.keeper.fold import Fold, Outgoing
from consumers.keeper.state import SpecState, TaskState
from consumers.keeper.world import Key, State, World
from events import Event, EventData
from storage.keeper import Position
from storage.models import event_log
from storage.unnest import columns_of
from tests.simulation.log import Log
from tests.support.folding import Kept

_COLUMNS = columns_of(event_log)


class Logged(NamedTuple):
    """A row of event_log, as far as anybody asks."""

    epoch: str
    seq: int
    time: datetime
    type: str
    outcome: str
    body: bytes


Watcher = Callable[[World, Sequence[Event[EventData]], datetime], None]
"""Is shown each event that is folded: the world after it, and the states that it led to."""


@dataclass
class Tables:
    """What is committed."""

    states: dict[Key, State | None] = field(default_factory=dict)
    logged: dict[tuple[str, str], Logged] = field(default_factory=dict)
    by_id: dict[str, Logged] = field(default_factory=dict)
    outbox: dict[str, Outgoing] = field(default_factory=dict)
    runs: dict[UUID, tuple[object, ...]] = field(default_factory=dict)
    position: Position = field(default_factory=lambda: Position("000000000001", 0))

    def tasks(self) -> list[TaskState]:
        return [state for state in self.states.values() if isinstance(state, TaskState)]

    def open_tasks(self) -> list[TaskState]:
        return [task for task in self.tasks() if task.finished_at is None]

    def agents(self) -> list[AgentState]:
        return [state for state in self.states.values() if isinstance(state, AgentState)]

    def task(self, task_id: UUID) -> TaskState | None:
        state = self.states.get(Key(TaskState, task_id))
        return state if isinstance(state, TaskState) else None

    def spec(self, task_id: UUID) -> SpecState:
        state = self.states[Key(SpecState, task_id)]
        assert isinstance(state, SpecState)
        return state

    def commit(self, fold: Fold, position: Position) -> None:
        """All of it, at once."""
        changes = fold.finish().rows
        for row in changes.get("logged", ()):
            values = dict(zip(_COLUMNS, row, strict=True))
            one = Logged(*(values[name] for name in Logged._fields))  # type: ignore[arg-type]  # the columns of the same names
            self.logged[str(values["source"]), str(values["id"])] = self.by_id[str(values["id"])] = one
        self.runs.update({row[0]: row for row in changes.get("ran", ())})  # type: ignore[misc]  # a run's id
        for key, state in fold.world.changed():
            self._keep(key, state)
        self.outbox.update((one.event.id, one) for one in fold.outgoing)
        for event_id in fold.changes.read_back:
            self.outbox.pop(event_id, None)
        self.position = position

    def _keep(self, key: Key, state: State) -> None:
        if isinstance(state, TaskState):
            spec = state.planned or (state.birth.spec if state.birth else None)
            if spec is not None:
                self.states[Key(SpecState, state.id)] = SpecState(state.id, spec)
            state = state._replace(birth=None, steered=False, planned=None)
        self.states[key] = state


class Keeper:
    """Folds, commits, publishes; `watch` sees every event that it folds."""

    def __init__(self, log: Log, tables: Tables, watch: Watcher) -> None:
        self._log = log
        self.tables = tables
        self._watch = watch
        self._next = 1
        self._to_send: deque[Outgoing] = deque()
        self._catches_up = True

    def fold(self, most: int = 256) -> bool:
        """Fold and commit what is waiting; whether anything was."""
        place = self.tables.position.seq
        items = self._log.after(place, most)
        if items:
            fold = Fold(self.tables.position.epoch, Kept(self.tables.states), self._next, set(self.tables.logged))
            for item in items:
                before = len(fold.outgoing)
                fold.take(item)
                self._watch(fold.world, [one.event for one in fold.outgoing[before:]], item.delivery.time)
            self.tables.commit(fold, Position(fold.epoch, place + len(items)))
            self._next = fold.next_outbox
            if not self._catches_up:
                self._to_send += fold.outgoing
        if self._catches_up and self.is_level:
            self._catches_up = False
            self._to_send.extend(sorted(self.tables.outbox.values(), key=lambda one: one.position))
        return bool(items)

    def catch_up(self) -> None:
        """Commit everything that the log holds now."""
        while not self.is_level:
            self.fold()

    def publish(self, most: int = 1_000_000) -> bool:
        """Send the oldest of what was committed; whether anything was."""
        for count in range(most):
            if not self._to_send:
                return count > 0
            self._log.publish(self._to_send.popleft().event)
        return True

    def repeat(self) -> None:
        """Nothing came back for three seconds: everything that was not read back is sent once more."""
        self._to_send = deque(sorted(self.tables.outbox.values(), key=lambda one: one.position))

    def send(self, events: Sequence[Event[EventData]]) -> None:
        """Put events through the outbox, as `Term._send_resent` does."""
        fold = Fold(self.tables.position.epoch, World({}), self._next)
        for event in events:
            fold.publish(event)
        self.tables.commit(fold, self.tables.position)
        self._next = fold.next_outbox
        self._to_send += fold.outgoing

    def kill(self) -> None:
        """What was committed stays; what was not published is left to the next one, which takes over at once."""
        self._to_send.clear()
        self._catches_up = True

    def begin_epoch(self, common: int) -> None:
        """As consumers/keeper/epoch.py: go on in a new epoch behind what the log and the tables have in common."""
        self.kill()
        self._log.epoch = f"{int(self._log.epoch, 16) + 1:012x}"
        self.tables.position = Position(self._log.epoch, common)

    @property
    def is_level(self) -> bool:
        """Whether the tables are where the log ends."""
        return self.tables.position.seq == self._log.end

    @property
    def is_idle(self) -> bool:
        """Whether nothing is left to fold or to publish."""
        return self.is_level and not self._catches_up and not self._to_send
