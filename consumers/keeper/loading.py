"""Load the states that a fold needs, one query a table, with those that are loaded along with them.

A rule may ask for a state that nobody foresaw; then the batch is folded again. Who asked for one task that waits for
another will ask for the next one, so each time we look twice as far: a queue of a thousand is folded ten times.
"""

from collections.abc import Iterable, Mapping, MutableMapping, Sequence

from consumers.keeper.aggregates import BY_KIND
from consumers.keeper.family import followed
from consumers.keeper.fold import Inbound, touched
from consumers.keeper.state import TaskState
from consumers.keeper.world import Key, State
from events.task import TaskControl
from storage.keeper import KeeperStore

AT_A_TIME = 1_000
"""States that are loaded in one go: making them of rows must not keep the lease from being renewed."""
_MOST = 10_000
"""States in memory at a time for what nobody has asked for yet."""


async def load_states(
    store: KeeperStore,
    keys: Iterable[Key],
    states: MutableMapping[Key, State | None],
    remembered: Mapping[Key, State],
) -> None:
    """Add the named states and their related ones to `states`, None for those that do not exist."""
    while wanted := [key for key in dict.fromkeys(keys) if key not in states]:
        states.update((key, remembered.get(key)) for key in wanted)
        missing: dict[type[State], list[Key]] = {}
        for key in wanted:
            if states[key] is None:
                missing.setdefault(key.kind, []).append(key)
        for kind, named in missing.items():
            aggregate = BY_KIND[kind]
            for first in range(0, len(named), AT_A_TIME):
                for row in await store.load(aggregate.table, [key.id for key in named[first : first + AT_A_TIME]]):
                    state = aggregate.state_of(row)
                    states[Key(kind, state[0])] = state
        found = [(key, states[key]) for key in wanted]
        keys = [other for key, state in found if state is not None for other in BY_KIND[key.kind].related(state)]


class Foresight:
    """Finds the states of one batch; `missed` is asked again and again until no rule misses anything."""

    def __init__(self, store: KeeperStore, remembered: Mapping[Key, State], states: dict[Key, State | None]) -> None:
        self._store = store
        self._remembered = remembered
        self._reach = 1
        self.states = states

    async def foresee(self, inbound: Sequence[Inbound]) -> None:
        """Add what the fold of these surely needs, and whom the ends concern that are followed up."""
        await self.load(touched(inbound))
        controls = [item.event.data for item in inbound if item.event and isinstance(item.event.data, TaskControl)]
        ended = [self.states.get(Key(TaskState, one.task_id)) for one in controls if one.action == "follow_up"]
        await self.load([key for task in ended if isinstance(task, TaskState) for key in followed(task)])

    async def load(self, keys: Iterable[Key]) -> None:
        """Add the named states and what is loaded along with them."""
        await load_states(self._store, keys, self.states, self._remembered)

    async def missed(self, key: Key) -> None:
        """Add this state, and what hangs together with those that are there, over twice as many steps as before."""
        await self.load([key])
        fresh: Iterable[Key] = list(self.states)
        for _ in range(self._reach):
            found = [state for state in map(self.states.get, fresh) if state is not None]
            fresh = self._unknown(other for state in found for other in BY_KIND[type(state)].kin(state))
            if not fresh or len(self.states) > _MOST:
                return
            await self.load(fresh)
        self._reach *= 2

    def _unknown(self, keys: Iterable[Key]) -> list[Key]:
        return [key for key in dict.fromkeys(keys) if key not in self.states]
