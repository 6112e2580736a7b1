"""Contexts with their last hundred changes, and how many each owner has.

A context's data is text: a number, and the order of keys, comes back as it was written.
"""

from sqlalchemy import Boolean, Column, Index, Integer, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from storage.models.base import Instant, metadata

context = Table(
    "context",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("scope", Text, nullable=False, comment="session, agent, global or temporary"),
    Column("session_id", Text),
    Column("agent_id", Text),
    Column("open", Boolean, nullable=False, comment="neither deleted nor past its time; else the data is empty"),
    Column("version", Integer, nullable=False),
    Column("data", Text, nullable=False, comment="JSON"),
    Column("size", Integer, nullable=False, comment="bytes of the data"),
    Column("keys", Integer, nullable=False, comment="of all objects in the data"),
    Column("ttl_seconds", Integer, comment="how long it is kept after a change, if not as its scope says"),
    Column("shared_from", Uuid, comment="the context that this one began as a copy of"),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("updated_by", Text, nullable=False),
    Column("expires_at", Instant),
    Index(
        "context_owner_idx",
        "tenant",
        "owner",
        text("created_at DESC"),
        text("id DESC"),
        postgresql_where=text("open"),
    ),
    Index("context_due_idx", "expires_at", postgresql_where=text("open")),
)

context_change = Table(
    "context_change",
    metadata,
    Column("context_id", Uuid, primary_key=True),
    Column("slot", Integer, primary_key=True, autoincrement=False, comment="version modulo 100: older ones make room"),
    Column("version", Integer, nullable=False),
    Column("action", Text, nullable=False),
    Column("changed_by", Text, nullable=False),
    Column("changed_at", Instant, nullable=False),
    Column("keys", JSONB, nullable=False, comment="the places that changed, at most a hundred of them"),
    Column("changes", Integer, nullable=False, comment="how many places changed"),
    Column("conflicts", JSONB, nullable=False, comment="the places that what was merged disagreed on"),
    Column("sources", JSONB, nullable=False, comment="ids of what was merged or copied"),
    Column("event_id", Text, nullable=False),
)

context_shelf = Table(
    "context_shelf",
    metadata,
    Column("id", Text, primary_key=True, comment="tenant/owner"),
    Column("open", Integer, nullable=False, comment="contexts that are neither deleted nor past their time"),
)
