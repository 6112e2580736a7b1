"""Questions about contexts: one by id, a page of many, their history, and several as an agent may read them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import cast
from uuid import UUID

import asyncpg
from pydantic_core import from_json
from sqlalchemy import ColumnElement, Row, func, or_, select
from sqlalchemy.ext.asyncio import AsyncEngine

from events.base import JsonObject
from events.context import ContextScope
from storage.faults import store_faults
from storage.models import context, context_change
from storage.reading import fetch
from storage.tasks import Anything, Place
from storage.workflows import newest

_READ_BY_AGENTS = """
SELECT id, scope, version, data FROM context
WHERE id = ANY($1::uuid[]) AND tenant = $2 AND owner = $3 AND open AND (expires_at IS NULL OR expires_at > now())"""


@dataclass(frozen=True, slots=True)
class ContextSummary:
    """A context without its data. Not `open`: it was deleted, or its time is over."""

    id: UUID
    tenant: str
    owner: str
    scope: ContextScope
    session_id: str | None
    agent_id: str | None
    open: bool
    version: int
    size: int
    keys: int
    ttl_seconds: int | None
    shared_from: UUID | None
    created_at: datetime
    updated_at: datetime
    updated_by: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class ContextRow:
    """A context, and what is in it."""

    about: ContextSummary
    data: JsonObject


@dataclass(frozen=True, slots=True)
class ContextFilter:
    """Which contexts to list: of one owner, or of the whole tenant when `owner` is None."""

    tenant: str
    owner: str | None
    scope: ContextScope | None = None
    session_id: str | None = None
    agent_id: str | None = None


@dataclass(frozen=True, slots=True)
class ContextTotals:
    """All contexts of a session in figures; None where there is none, or none that ends."""

    contexts: int
    keys: int
    size: int
    updated_at: datetime | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class ContextChangeRow:
    """One change of a context."""

    version: int
    action: str
    changed_by: str
    changed_at: datetime
    keys: list[str]
    changes: int
    conflicts: list[str]
    sources: list[str]
    event_id: str


@dataclass(frozen=True, slots=True)
class SharedContext:
    """A context as an agent reads it."""

    id: UUID
    scope: ContextScope
    version: int
    data: JsonObject


_SUMMARY = [context.c[shown.name] for shown in fields(ContextSummary)]
_CHANGE = [context_change.c[shown.name] for shown in fields(ContextChangeRow)]
_LASTS = or_(context.c.expires_at.is_(None), context.c.expires_at > func.now())


async def find_context(engine: AsyncEngine, context_id: UUID) -> ContextRow | None:
    """The context, whoever owns it and closed ones too (the caller must look), or None.

    One whose time is over is not open, even if nobody has closed it yet.
    """
    shown = [*_SUMMARY, context.c.data, _LASTS.label("lasts")]
    rows = await fetch(engine, select(*shown).where(context.c.id == context_id))
    if not rows:
        return None
    *about, data, lasts = rows[0]
    values = dict(zip((shown.name for shown in fields(ContextSummary)), about, strict=True))
    values["open"] = values["open"] and lasts
    return ContextRow(ContextSummary(**values), from_json(data))


async def list_contexts(
    engine: AsyncEngine, wanted: ContextFilter, before: Place | None, limit: int
) -> list[ContextSummary]:
    """At most `limit` of them, newest first, from just below `before`."""
    found = await fetch(engine, newest(select(*_SUMMARY).where(*_conditions(wanted)), context, before, limit))
    return [_summary(row) for row in found]


async def totals_of(engine: AsyncEngine, wanted: ContextFilter) -> ContextTotals:
    """All of them in figures."""
    figures = select(
        func.count(),
        func.coalesce(func.sum(context.c["keys"]), 0),
        func.coalesce(func.sum(context.c.size), 0),
        func.max(context.c.updated_at),
        func.min(context.c.expires_at),
    ).where(*_conditions(wanted))
    return ContextTotals(*(await fetch(engine, figures))[0])


async def list_changes(engine: AsyncEngine, context_id: UUID, below: int | None, limit: int) -> list[ContextChangeRow]:
    """At most `limit` changes, newest first, from just below that version."""
    wanted = select(*_CHANGE).where(context_change.c.context_id == context_id)
    if below is not None:
        wanted = wanted.where(context_change.c.version < below)
    found = await fetch(engine, wanted.order_by(context_change.c.version.desc()).limit(limit))
    return [ContextChangeRow(*row) for row in found]


async def read_contexts(
    pool: "asyncpg.Pool[asyncpg.Record]", tenant: str, owner: str, ids: Sequence[UUID]
) -> dict[UUID, SharedContext]:
    """Those of the named ones that are this owner's and there still. Raises StoreUnavailableError."""
    with store_faults():
        rows = await pool.fetch(_READ_BY_AGENTS, list(ids), tenant, owner)
    return {
        row["id"]: SharedContext(row["id"], cast("ContextScope", row["scope"]), row["version"], from_json(row["data"]))
        for row in rows
    }


def _conditions(wanted: ContextFilter) -> list[ColumnElement[bool]]:
    named = {name: getattr(wanted, name) for name in ("owner", "scope", "session_id", "agent_id")}
    return [
        context.c.tenant == wanted.tenant,
        context.c.open,
        _LASTS,
        *(context.c[name] == value for name, value in named.items() if value is not None),
    ]


def _summary(row: Row[Anything]) -> ContextSummary:
    return ContextSummary(*row)  # type: ignore[arg-type,call-arg]  # the columns are listed in the order of the fields
