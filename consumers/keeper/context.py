"""Contexts in the fold: which states a command needs, what it is announced as, and the rows that it leaves."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from consumers.keeper import context_runs
from consumers.keeper.context_rules import Scene, change_by
from consumers.keeper.context_state import (
    HISTORY,
    Change,
    ContextShelf,
    ContextState,
    change_row,
    context_of,
    context_row,
    shelf_id,
    shelf_of,
    shelf_row,
)
from consumers.keeper.session_state import SessionState
from consumers.keeper.world import Aggregate, Effect, Key, World
from events.base import About, Event, EventData
from events.context import MAX_NAMED, ContextChange, ContextChanged


def touches(event: Event[EventData]) -> Iterable[Key]:
    """The contexts and the session that a command names."""
    data = event.data
    if not isinstance(data, ContextChange):
        return ()
    named = [Key(ContextState, one) for one in (data.context_id, *data.sources)]
    if data.execution_id is not None:
        named += context_runs.touches(event)
    return named if data.session_id is None else [*named, Key(SessionState, data.session_id)]


def _touched_shelf(event: Event[EventData]) -> Iterable[Key]:
    return (Key(ContextShelf, shelf_id(event.tenantid, event.ownerid)),)


def decide(world: World, event: Event[EventData], at: datetime) -> Sequence[Effect]:
    """What a command leads to: the context's next version, or nothing where nothing changes. Raises RefusedError."""
    change = _change_by(world, event, at)
    if change is None:
        return ()
    after = change.after
    changed = ContextChanged(
        context_id=after.id,
        action=change.action,
        scope=after.scope,
        session_id=after.session_id,
        agent_id=after.agent_id,
        version=after.version,
        keys=change.keys[:MAX_NAMED],
        changes=len(change.keys),
        conflicts=change.conflicts[:MAX_NAMED],
        sources=change.sources,
        by=after.updated_by,
        expires_at=after.expires_at,
    )
    session = event.sessionid or after.session_id or str(after.id)  # what it was in hears that it is global now
    return [Effect(changed, after.version, About(after.owner, session, None))]


def evolve(world: World, event: Event[EventData], at: datetime) -> None:
    """Put the context as it is after this command, an entry of its history, and how many its owner has now."""
    change = _change_by(world, event, at)
    if change is None:
        return
    after = change.after
    was_open = after.version > 1
    world.put(after.id, after)
    world.add("context_changes", (after.id, after.version % HISTORY), change_row(change, at, event.id))
    if was_open != after.open:
        name = shelf_id(after.tenant, after.owner)
        shelf = world.get(ContextShelf, name) or ContextShelf(name, 0)
        world.put(name, shelf._replace(open=shelf.open + (1 if after.open else -1)))


def _change_by(world: World, event: Event[EventData], at: datetime) -> Change | None:
    data = event.data
    if not isinstance(data, ContextChange):
        return None
    if data.execution_id is not None:
        context_runs.refuse_others(world, event, data)
    return change_by(Scene(world, data, event.tenantid, event.ownerid, at))


AGGREGATE = Aggregate(
    kind=ContextState,
    table="context",
    handles=(ContextChange,),
    touches=touches,
    decide=decide,
    evolve=evolve,
    state_of=context_of,
    row_of=context_row,
)

SHELF = Aggregate(
    kind=ContextShelf,
    table="context_shelf",
    handles=(ContextChange,),
    touches=_touched_shelf,
    state_of=shelf_of,
    row_of=shelf_row,
)
