"""A session's placeholders: `[EMAIL_1]` is the same value in all that was screened for the session.

Whoever screens a text numbers its placeholders as well as it can know; here, in the order of the log, each value gets
the number that is its own from then on, and the texts of the event are changed accordingly before they are folded.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple, TypeVar

import orjson
from pydantic import JsonValue

from consumers.keeper.rows import json_text
from consumers.keeper.world import Aggregate, Key, State, World
from events.base import Event, EventData
from events.run import RunEvent, RunFinished, RunProgress, RunToolCalled
from events.task import Sealed, TaskChecked
from storage.unnest import Row

MOST = 1_000
"""Names a session may have; beyond, a value is redacted all the same, and nobody learns any more what stood there."""

V = TypeVar("V", bound=JsonValue)


class PlaceholderState(NamedTuple):
    """The names of one session, and what they stand for, sealed."""

    id: str
    tenant: str
    owner: str
    session_id: str
    names: dict[str, Sealed]


def named(world: World, event: Event[EventData]) -> Event[EventData]:
    """The event with the session's own names in its texts and in `sealed`; events without names are the same object."""
    sealed = _sealed(event.data)
    if not sealed:
        return event
    state = world.get(PlaceholderState, state_id(event))
    known = state.names if state else {}
    final = names_for(sealed, known)
    if all(name == new for name, new in final.items()):
        return event
    changes: dict[str, object] = {"sealed": {final[name]: value for name, value in sealed.items()}}
    for field in _texts(event.data):
        changes[field] = renamed(getattr(event.data, field), final)
    if isinstance(event.data, RunFinished) and (error := event.data.error) is not None:
        said = {"code": renamed(error.code, final), "message": renamed(error.message, final)}
        changes["error"] = error.model_copy(update=said)
    return event.model_copy(update={"data": event.data.model_copy(update=changes)})


def names_for(sealed: Mapping[str, Sealed], known: Mapping[str, Sealed]) -> dict[str, str]:
    """The session's name for each name of an event: by the value's tag, or the next number of its kind."""
    by_tag = {value.tag: name for name, value in known.items()}
    highest: dict[str, int] = {}
    for name in known:
        kind, _, number = name.rpartition("_")
        highest[kind] = max(highest.get(kind, 0), int(number) if number.isdecimal() else 0)
    final: dict[str, str] = {}
    for name, value in sealed.items():
        kind = name.rpartition("_")[0]
        if value.tag not in by_tag:
            highest[kind] = highest.get(kind, 0) + 1
            by_tag[value.tag] = f"{kind}_{highest[kind]}"
        final[name] = by_tag[value.tag]
    return final


def renamed(value: V, final: Mapping[str, str]) -> V:
    """A JSON value with names in brackets exchanged in all its texts, all at once."""
    if isinstance(value, str):
        head, *parts = value.split("[")
        return "[".join([head, *(_exchanged(part, final) for part in parts)])  # type: ignore[return-value]  # a text for a text
    if isinstance(value, list):
        return [renamed(item, final) for item in value]  # type: ignore[return-value]  # a list for a list
    if isinstance(value, dict):
        return {str(renamed(key, final)): renamed(item, final) for key, item in value.items()}  # type: ignore[return-value]  # as above
    return value


def _exchanged(part: str, final: Mapping[str, str]) -> str:
    name, bracket, rest = part.partition("]")
    return f"{final[name]}]{rest}" if bracket and name in final else part


def _sealed(data: EventData) -> dict[str, Sealed] | None:
    return data.sealed if isinstance(data, TaskChecked | RunEvent) else None


def _texts(data: EventData) -> tuple[str, ...]:
    if isinstance(data, TaskChecked):
        return ("redacted",)
    if isinstance(data, RunFinished):
        return ("output",)
    if isinstance(data, RunToolCalled):
        return ("tool", "parameters", "result")
    return ("note", "checkpoint") if isinstance(data, RunProgress) else ()


def state_id(event: Event[EventData]) -> str:
    """The id of the names of an event's session; a task without one has its own."""
    return f"{event.tenantid}/{event.sessionid or event.taskid}"


def touches(event: Event[EventData]) -> Iterable[Key]:
    """The session's names, if the event brings any."""
    return (Key(PlaceholderState, state_id(event)),) if _sealed(event.data) else ()


def evolve(world: World, event: Event[EventData], _: datetime) -> None:
    """Keep the names that an event brings."""
    sealed = _sealed(event.data)
    if not sealed:
        return
    key = state_id(event)
    state = world.get(PlaceholderState, key)
    if state is None:
        state = PlaceholderState(key, event.tenantid, event.ownerid, key.partition("/")[2], {})
    new = {name: value for name, value in sealed.items() if name not in state.names}
    room = max(0, MOST - len(state.names))
    if new and room:
        world.put(key, state._replace(names=state.names | dict(list(new.items())[:room])))


def _state_of(values: dict[str, object]) -> PlaceholderState:
    names = {name: Sealed.model_validate(value) for name, value in orjson.loads(str(values["names"])).items()}
    return PlaceholderState(**{**values, "names": names})  # type: ignore[arg-type]  # columns and fields are compared by a test


def _row_of(state: State) -> tuple[str, Row]:
    if not isinstance(state, PlaceholderState):
        raise TypeError
    names: dict[str, JsonValue] = {name: {"tag": kept.tag, "value": kept.value} for name, kept in state.names.items()}
    return "placeholders", (*state[:-1], json_text(names))


AGGREGATE = Aggregate(
    kind=PlaceholderState,
    table="placeholder",
    handles=(TaskChecked, RunEvent),
    touches=touches,
    evolve=evolve,
    state_of=_state_of,
    row_of=_row_of,
)
