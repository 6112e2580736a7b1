"""Questions about checkpoints: those of a session, and the one that a task's next attempt begins with."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from uuid import UUID

import asyncpg
from pydantic_core import from_json
from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncEngine

from events.base import JsonObject
from storage.faults import store_faults
from storage.models import checkpoint
from storage.reading import fetch
from storage.tasks import Anything

_OF_TASK = "SELECT seq, note, data FROM task_checkpoint WHERE task_id = $1"


@dataclass(frozen=True, slots=True)
class GivenCheckpoint:
    """What the next attempt of a task begins with."""

    seq: int
    note: str | None
    data: JsonObject
    size: int


@dataclass(frozen=True, slots=True)
class CheckpointRow:
    """One checkpoint of a session. `run_id` is None if its owner made it; `data` is None if it was not asked for."""

    seq: int
    task_id: UUID
    run_id: UUID | None
    attempt: int
    agent_id: str | None
    note: str | None
    size: int
    created_at: datetime
    data: JsonObject | None = None


_SHOWN = [checkpoint.c[one.name] for one in fields(CheckpointRow) if one.name != "data"]


async def find_given(pool: "asyncpg.Pool[asyncpg.Record]", task_id: UUID) -> GivenCheckpoint | None:
    """The checkpoint that the task's next attempt begins with. Raises StoreUnavailableError."""
    with store_faults():
        row = await pool.fetchrow(_OF_TASK, task_id)
    return None if row is None else GivenCheckpoint(row[0], row[1], from_json(row[2]), len(row[2].encode()))


async def checkpoints_of(
    engine: AsyncEngine, session_id: str, before: int | None, limit: int
) -> Sequence[CheckpointRow]:
    """The newest `limit` checkpoints of a session whose number is below `before`, without their data."""
    older = [] if before is None else [checkpoint.c.seq < before]
    wanted = select(*_SHOWN).where(checkpoint.c.line_id == session_id, *older)
    return [_row(row) for row in await fetch(engine, wanted.order_by(checkpoint.c.seq.desc()).limit(limit))]


async def find_checkpoint(engine: AsyncEngine, session_id: str, seq: int) -> CheckpointRow | None:
    """One checkpoint of a session with its data, or None."""
    wanted = select(*_SHOWN, checkpoint.c.data)
    rows = await fetch(engine, wanted.where(checkpoint.c.line_id == session_id, checkpoint.c.seq == seq))
    return _row((*rows[0][:-1], from_json(rows[0][-1]))) if rows else None


async def find_by_event(engine: AsyncEngine, session_id: str, event_id: str) -> CheckpointRow | None:
    """The checkpoint of a session that an event has made, without its data, or None."""
    wanted = select(*_SHOWN).where(checkpoint.c.line_id == session_id, checkpoint.c.event_id == event_id)
    rows = await fetch(engine, wanted)
    return _row(rows[0]) if rows else None


def _row(row: Row[Anything] | Anything) -> CheckpointRow:
    return CheckpointRow(*row)
