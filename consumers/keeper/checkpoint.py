"""Checkpoints: how far a task had come, numbered and kept for the attempts that come after (requirements O.3, 002.3).

A session keeps the last hundred of its tasks. Beside them each task has the one that its next attempt begins with: its
last one, or one that its owner has gone back to.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from pydantic_core import to_json

from consumers.keeper.rows import text
from consumers.keeper.state import TaskState
from consumers.keeper.world import Aggregate, Effect, Key, RefusedError, State, World
from events.base import About, Event, EventData, JsonObject
from events.run import RunProgress
from events.session import SessionCheckpointed
from events.task import TaskControl
from storage.unnest import Row

KEPT = 100
"""Checkpoints of a session that are kept; their numbers go on."""


class CheckpointLine(NamedTuple):
    """How many checkpoints there were of a session, or of a task without one."""

    id: str
    last_seq: int


class CheckpointState(NamedTuple):
    """One of the last hundred, in the place of the one a hundred before. `run_id` is None if its owner made it."""

    id: str
    line_id: str
    seq: int
    task_id: UUID
    run_id: UUID | None
    attempt: int
    agent_id: str | None
    note: str | None
    data: str
    size: int
    created_at: datetime
    event_id: str


class _Said(NamedTuple):
    data: JsonObject
    note: str | None
    run_id: UUID | None
    agent_id: str | None


def line_id(session_id: str | None, task_id: UUID | None) -> str:
    """Of whom checkpoints are numbered together."""
    return session_id or f"task/{task_id}"


def place_id(line: str, seq: int) -> str:
    """Where the checkpoint with this number is kept."""
    return f"{line}/{seq % KEPT}"


def find(world: World, task: TaskState, seq: int) -> CheckpointState:
    """The checkpoint with this number, of this very task. Raises RefusedError."""
    found = world.get(CheckpointState, place_id(line_id(task.session_id, task.id), seq))
    if found is None or (found.seq, found.task_id) != (seq, task.id):
        raise RefusedError("unknown_checkpoint")
    return found


def touches(event: Event[EventData]) -> Iterable[Key]:
    """The numbers of the session, and the checkpoint that a command goes back to."""
    data = event.data
    line = line_id(event.sessionid, event.taskid)
    if _said(data) is not None:
        yield Key(CheckpointLine, line)
    if isinstance(data, TaskControl) and data.checkpoint_seq is not None:
        yield Key(CheckpointState, place_id(line, data.checkpoint_seq))


def decide(world: World, event: Event[EventData], _: datetime) -> Sequence[Effect]:
    """A session's checkpoint is announced once it is kept."""
    said = _said(event.data)
    task = None if said is None else world.get(TaskState, event.taskid)
    if said is None or task is None or task.session_id is None:
        return ()
    seq = _last_seq(world, task.session_id) + 1
    kept = SessionCheckpointed(
        session_id=task.session_id,
        task_id=task.id,
        seq=seq,
        attempt=task.attempt,
        run_id=said.run_id,
        agent_id=said.agent_id,
        note=said.note,
    )
    return [Effect(kept, seq, About(task.owner, task.session_id, task.id))]


def evolve(world: World, event: Event[EventData], at: datetime) -> None:
    """Keep what was said, or go back to what was: the next attempt begins with it."""
    data = event.data
    task = world.get(TaskState, event.taskid) if isinstance(data, RunProgress | TaskControl) else None
    if task is None:
        return
    if (said := _said(data)) is not None:
        _give(world, _keep(world, event, task, said, at))
    elif isinstance(data, TaskControl) and data.checkpoint_seq is not None:
        _give(world, find(world, task, data.checkpoint_seq))


def _said(data: EventData) -> _Said | None:
    if isinstance(data, RunProgress) and data.checkpoint is not None:
        return _Said(data.checkpoint, data.note, data.run_id, data.agent_id)
    if isinstance(data, TaskControl) and data.checkpoint is not None:
        return _Said(data.checkpoint, data.reason, None, None)
    return None


def _last_seq(world: World, line: str) -> int:
    kept = world.get(CheckpointLine, line)
    return 0 if kept is None else kept.last_seq


def _keep(world: World, event: Event[EventData], task: TaskState, said: _Said, at: datetime) -> CheckpointState:
    line = line_id(task.session_id, task.id)
    seq = _last_seq(world, line) + 1
    written = to_json(said.data).decode()  # exactly: what is read back must be what the fold goes on with
    kept = CheckpointState(
        id=place_id(line, seq),
        line_id=line,
        seq=seq,
        task_id=task.id,
        run_id=said.run_id,
        attempt=task.attempt,
        agent_id=said.agent_id,
        note=text(said.note),
        data=written,
        size=len(written.encode()),
        created_at=at,
        event_id=text(event.id) or "",
    )
    world.put(line, CheckpointLine(line, seq))
    world.put(kept.id, kept)
    return kept


def _give(world: World, kept: CheckpointState) -> None:
    world.add("begun_with", kept.task_id, (kept.task_id, kept.seq, kept.note, kept.data))


def _row_of(state: State) -> tuple[str, Row]:
    return ("checkpoints" if isinstance(state, CheckpointState) else "checkpoint_lines"), tuple(state)


def _line_of(values: dict[str, object]) -> CheckpointLine:
    return CheckpointLine(**values)  # type: ignore[arg-type]  # the columns are the fields, a test compares them


def _state_of(values: dict[str, object]) -> CheckpointState:
    return CheckpointState(**values)  # type: ignore[arg-type]  # as above


AGGREGATE = Aggregate(
    kind=CheckpointState,
    table="checkpoint",
    handles=(RunProgress, TaskControl),
    touches=touches,
    decide=decide,
    evolve=evolve,
    state_of=_state_of,
    row_of=_row_of,
)

LINE = Aggregate(
    kind=CheckpointLine,
    table="checkpoint_line",
    state_of=_line_of,
    row_of=_row_of,
)
