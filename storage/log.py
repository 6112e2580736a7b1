"""Questions to the event log: what became of an event, and which events a room saw between two cursors."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, and_, literal, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncEngine

from events.cursor import Cursor
from storage.models import ARCHIVED, archived_task, event_gap, event_log, keeper, session
from storage.reading import fetch

_ARCHIVED = re.compile(rf"io\.ganglion\.({'|'.join(ARCHIVED)})\.")

Identity = tuple[str, str]
"""Source and id: what makes an event one and the same, however often it is published."""


class Identified(NamedTuple):
    """An event that the log has, and where."""

    identity: Identity
    place: Cursor


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One event as it was kept: its place, the stream's timestamp and the bytes as they came."""

    epoch: str
    seq: int
    time: datetime
    outcome: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of one event, which task it was about, and its place in the log."""

    outcome: str
    task_id: UUID | None
    body: bytes
    at: Cursor


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose events to read: of one owner, or (owner None) of a whole tenant; of one task, session, or of some types.

    Of `also_tenant` everything of these types is read too, whoever owns it.
    """

    tenant: str
    owner: str | None = None
    task_id: UUID | None = None
    session_id: str | None = None
    types: Sequence[str] | None = None
    also_tenant: str | None = None


async def outcomes(engine: AsyncEngine, source: str, ids: Collection[str]) -> dict[str, str]:
    """The outcomes of those of `source`'s events that are committed."""
    statement = select(event_log.c.id, event_log.c.outcome).where(
        event_log.c.source == source, event_log.c.id.in_(list(ids))
    )
    return {row.id: row.outcome for row in await fetch(engine, statement)}


async def settled(engine: AsyncEngine, source: str, event_id: str) -> Settled | None:
    """One committed event of `source`, or None."""
    log = event_log.c
    statement = select(log.outcome, log.task_id, log.body, log.epoch, log.seq).where(
        log.source == source, log.id == event_id
    )
    rows = await fetch(engine, statement)
    return Settled(*rows[0][:3], at=Cursor(*rows[0][3:])) if rows else None


async def entries(engine: AsyncEngine, whose: Whose, after: Cursor, until: Cursor | None, limit: int) -> list[LogEntry]:
    """The events of `whose` in order, after one cursor and up to another, at most `limit`."""
    log = event_log.c
    place = tuple_(log.epoch, log.seq)
    wanted = [*_of(whose), place > _place(after)]
    if until is not None:
        wanted.append(place <= _place(until))
    statement = (
        select(log.epoch, log.seq, log.time, log.outcome, log.body)
        .where(*wanted)
        .order_by(log.epoch, log.seq)
        .limit(limit)
    )
    return [LogEntry(*row) for row in await fetch(engine, statement)]


def _of(whose: Whose) -> list[ColumnElement[bool]]:
    log = event_log.c
    owned = log.tenant == whose.tenant
    if whose.owner is not None:
        owned = and_(owned, log.owner == whose.owner)
    if whose.also_tenant is not None:
        owned = or_(owned, log.tenant == whose.also_tenant)
    wanted: list[ColumnElement[bool]] = [owned]
    if whose.task_id is not None:
        wanted.append(log.task_id == whose.task_id)
    if whose.session_id is not None:
        wanted.append(log.session_id == whose.session_id)
    if whose.types is not None:
        wanted.append(log.type.in_(list(whose.types)))
    return wanted


async def has_gap(engine: AsyncEngine, after: Cursor, until: Cursor) -> bool:
    """Whether the log is known to have lost sequences between two cursors of one epoch."""
    statement = (
        select(literal(1))
        .select_from(event_gap)
        .where(
            event_gap.c.epoch == until.epoch,
            event_gap.c.last_seq > after.seq,
            event_gap.c.first_seq <= until.seq,
        )
        .limit(1)
    )
    return bool(await fetch(engine, statement))


async def has_archived(engine: AsyncEngine, whose: Whose, after: Cursor) -> bool:
    """Whether events of `whose` behind a cursor are, or may be, in an archive only.

    To be asked after `entries`: what they leave out because it was just taken away is known then.
    """
    if whose.types is not None and not any(_ARCHIVED.match(one) for one in whose.types):
        return False
    gone = archived_task.c
    wanted = [gone.tenant == whose.tenant, tuple_(gone.epoch, gone.seq) > _place(after)]
    if whose.owner is not None:
        wanted.append(gone.owner == whose.owner)
    if whose.task_id is not None:
        wanted.append(gone.task_id == whose.task_id)
    if whose.session_id is not None:
        wanted.append(gone.session_id == whose.session_id)
    return bool(await fetch(engine, select(literal(1)).select_from(archived_task).where(*wanted).limit(1)))


async def latest_ids(engine: AsyncEngine, until: Cursor, limit: int) -> list[Identified]:
    """Identity and place of the newest `limit` events up to a place, oldest first."""
    newest = (
        select(event_log.c.source, event_log.c.id, event_log.c.epoch, event_log.c.seq)
        .where(tuple_(event_log.c.epoch, event_log.c.seq) <= _place(until))
        .order_by(event_log.c.epoch.desc(), event_log.c.seq.desc())
        .limit(limit)
    )
    rows = reversed(await fetch(engine, newest))
    return [Identified((row.source, row.id), Cursor(row.epoch, row.seq)) for row in rows]


async def position(engine: AsyncEngine) -> Cursor:
    """How far the keeper has folded the log."""
    rows = await fetch(engine, select(keeper.c.epoch, keeper.c.position))
    return Cursor(rows[0].epoch, rows[0].position) if rows else Cursor("", 0)


async def last_of(engine: AsyncEngine, task_id: UUID, types: Collection[str]) -> tuple[str, Cursor] | None:
    """Type and place of a task's newest event of these types, or None."""
    log = event_log.c
    newest = (
        select(log.type, log.epoch, log.seq)
        .where(log.task_id == task_id, log.type.in_(list(types)))
        .order_by(log.epoch.desc(), log.seq.desc())
        .limit(1)
    )
    rows = await fetch(engine, newest)
    return (rows[0].type, Cursor(rows[0].epoch, rows[0].seq)) if rows else None


async def session_owner(engine: AsyncEngine, session_id: str) -> tuple[str, str] | None:
    """The tenant and the owner of a session, or None."""
    rows = await fetch(engine, select(session.c.tenant, session.c.owner).where(session.c.id == session_id))
    return (rows[0].tenant, rows[0].owner) if rows else None


async def answers(engine: AsyncEngine) -> None:
    """Return if Postgres answers, else raise StoreUnavailableError."""
    await fetch(engine, select(literal(1)))


def _place(cursor: Cursor) -> ColumnElement[tuple[str, int]]:
    return tuple_(literal(cursor.epoch), literal(cursor.seq))
