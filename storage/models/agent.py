"""Who can do work: what an agent said of itself, and what the router made of it last."""

from sqlalchemy import Boolean, CheckConstraint, Column, Double, Index, Integer, Table, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB

from storage.models.base import Instant, metadata

agent = Table(
    "agent",
    metadata,
    Column("id", Text, primary_key=True, comment="<tenant>/<agent id>"),
    Column("tenant", Text, nullable=False, comment="`_`: an agent of ours, it works for every tenant"),
    Column("agent_id", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("agent_type", Text, nullable=False),
    Column("capabilities", JSONB, nullable=False, comment="name -> weight"),
    Column("technologies", JSONB, nullable=False),
    Column("capacity", Integer, nullable=False),
    Column("outside", Boolean, nullable=False, comment="it pulls its work; the others run in a consumer of ours"),
    Column("token_hash", Text, comment="sha256 in hexadecimal; NULL: no token is good"),
    Column("agent_version", Text),
    Column("metadata", JSONB, nullable=False),
    Column("status", Text, nullable=False),
    Column("draining", Boolean, nullable=False),
    Column("reason", Text),
    Column("version", Integer, nullable=False),
    Column("registered_at", Instant, nullable=False),
    Column("heartbeat_at", Instant, nullable=False),
    Column("reported", JSONB, comment="what it said of its own load last: shown, never believed"),
    Column("updated_at", Instant, nullable=False),
    # What the router announced last (agent.changed).
    Column("tier", Text, nullable=False),
    Column("quality", Double, nullable=False),
    Column("load_level", Text, nullable=False),
    Column("breaker", Text, nullable=False),
    Column("available", Boolean, nullable=False),
    Column("in_flight", Integer, nullable=False),
    Column("endpoint_url", Text, comment="where it is called with its work; NULL: it pulls"),
    Column("notes", JSONB, comment="what was said of its work, the newest first: shown, never counted"),
    Column("token_since", Instant, comment="since when its token is the one that is good"),
    UniqueConstraint("tenant", "agent_id"),
    CheckConstraint("status IN ('active', 'draining', 'offline', 'gone')", name="agent_status_check"),
    Index("agent_heartbeat_idx", "status", "heartbeat_at"),
)
