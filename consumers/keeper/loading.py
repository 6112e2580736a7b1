"""Load the states that a fold needs, one query a table, with those that are loaded along with them."""

from collections.abc import Iterable, Mapping, MutableMapping

from consumers.keeper.aggregates import BY_KIND
from consumers.keeper.world import Key, State
from storage.keeper import KeeperStore


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
            for row in await store.load(aggregate.table, [key.id for key in named]):
                state = aggregate.state_of(row)
                states[Key(kind, aggregate.id_of(state))] = state
        found = [(key, states[key]) for key in wanted]
        keys = [other for key, state in found if state is not None for other in BY_KIND[key.kind].related(state)]
