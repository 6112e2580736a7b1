"""What one batch knows and changes: states of every aggregate, the rows beside them, and the rules of an aggregate.

Rules are pure: `decide` reads the world, `evolve` puts the next state into it. A rule that asks for a state nobody
loaded makes the keeper load it and fold the batch again, so rules may follow any reference that a state names.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, TypeVar, cast

from events.base import About, Event, EventData
from storage.unnest import Row

State = tuple[object, ...]
"""One aggregate between two events: a NamedTuple, its id first."""
S = TypeVar("S", bound=State)


class Key(NamedTuple):
    """Which state: its class and its id."""

    kind: type[State]
    id: object


class MissingStateError(Exception):
    """A rule asked for a state that was not loaded."""

    def __init__(self, key: Key) -> None:
        self.key = key
        super().__init__(f"{key.kind.__name__} was not loaded")


class RefusedError(Exception):
    """The event changes nothing; `code` is the outcome the log keeps of it."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


class Effect(NamedTuple):
    """An event that a rule leads to, the version of the aggregate it announces, and whom it concerns."""

    data: EventData
    version: int | None
    about: About


class World:
    """The states of one batch by key; None is a state known not to exist."""

    def __init__(self, states: Mapping[Key, State | None]) -> None:
        self._states = dict(states)
        self._changed: dict[Key, None] = {}
        self._rows: dict[str, dict[object, Row]] = {}
        self.led_to = 0
        """How many effects the event that is being folded has had so far."""

    def get(self, kind: type[S], state_id: object) -> S | None:
        """The state as the batch has it now. Raises MissingStateError if it must be loaded first."""
        key = Key(kind, state_id)
        try:
            return cast("S | None", self._states[key])
        except KeyError:
            raise MissingStateError(key) from None

    def put(self, state_id: object, state: State) -> None:
        """The state after an event."""
        key = Key(type(state), state_id)
        self._states[key] = state
        self._changed[key] = None

    def add(self, part: str, key: object, row: Row) -> None:
        """A row beside the states, for a part of `storage.parts.PARTS`; a later one of the same key replaces it."""
        self._rows.setdefault(part, {})[key] = row

    def row(self, part: str, key: object) -> Row | None:
        """The row that this batch added under the key."""
        return self._rows.get(part, {}).get(key)

    def changed(self) -> list[tuple[Key, State]]:
        """The states that the batch changed, as they are after it."""
        return [(key, cast("State", self._states[key])) for key in self._changed]

    def rows(self) -> dict[str, list[Row]]:
        """The rows beside the states, by part."""
        return {part: list(rows.values()) for part, rows in self._rows.items()}


def _none(*_: object) -> tuple[()]:
    return ()


def _unchanged(*_: object) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One kind of state and its rules; `consumers/keeper/aggregates.py` lists them.

    `state_of`: a state from its row in `table`; `row_of`: the part and row that keep it. `handles`: the event classes
    (or their base classes) its rules look at; none if others put it. `touches`: the states that an event's fold
    surely needs. `decide`: what the event leads to (raises RefusedError); `evolve`: put what the event makes of the
    states.
    `related`: states that are loaded along with it. `kin`: states that it may lead to, one after the other.
    """

    kind: type[State]
    table: str
    state_of: Callable[[dict[str, object]], State]
    row_of: Callable[[State], tuple[str, Row]]
    handles: tuple[type[EventData], ...] = ()
    touches: Callable[[Event[EventData]], Iterable[Key]] = _none
    decide: Callable[[World, Event[EventData], datetime], Sequence[Effect]] = _none
    evolve: Callable[[World, Event[EventData], datetime], None] = _unchanged
    related: Callable[[State], Iterable[Key]] = _none
    kin: Callable[[State], Iterable[Key]] = _none
