"""Uses of tools in runs: a number within a run names one, and what was said of it first is kept."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from consumers.keeper.rows import tool_call_row
from consumers.keeper.world import Aggregate, Key, RefusedError, State, World
from events.run import RunToolCalled
from storage.unnest import Row


class CallState(NamedTuple):
    """A use of a tool, `<run>/<number>`; its row while it is not in the database yet."""

    id: str
    row: Row | None = None


def touches(data: RunToolCalled) -> Iterable[Key]:
    """Whether the number is taken."""
    yield Key(CallState, _id_of(data))


def refuse_taken(data: RunToolCalled, world: World) -> None:
    """Raise RefusedError for a number that the run has given to a use before, so that neither is lost unheard."""
    if world.get(CallState, _id_of(data)) is not None:
        raise RefusedError("seq_taken")


def keep(data: RunToolCalled, world: World, at: datetime) -> None:
    """Keep what was said of it."""
    call_id = _id_of(data)
    world.put(call_id, CallState(call_id, tool_call_row(data, at)))


def _id_of(data: RunToolCalled) -> str:
    return f"{data.run_id}/{data.seq}"


def _row_of(call: State) -> tuple[str, Row]:
    if not isinstance(call, CallState) or call.row is None:
        raise TypeError
    return "called", call.row


AGGREGATE = Aggregate(
    kind=CallState,
    table="tool_call",
    state_of=lambda row: CallState(str(row["id"])),
    row_of=_row_of,
)
"""Its facts are the task's, which looks at them first."""
