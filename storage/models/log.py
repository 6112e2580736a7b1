"""The log as Postgres keeps it, how far it is folded, and what waits to be published."""

from sqlalchemy import BigInteger, Column, Index, LargeBinary, SmallInteger, Table, Text, UniqueConstraint, Uuid, text

from storage.models.base import Instant, metadata

# One row: how far the log is folded, and which keeper may fold on (DESIGN 4).
keeper = Table(
    "keeper",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("epoch", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("holder", Text),
    Column("until", Instant),
)

event_log = Table(
    "event_log",
    metadata,
    Column("epoch", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("source", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("task_id", Uuid),
    Column("session_id", Text),
    Column("time", Instant, nullable=False, comment="the stream's timestamp: the fold's only clock"),
    Column("outcome", Text, nullable=False),
    Column("body", LargeBinary, nullable=False, comment="the bytes as they came, NUL and all"),
    UniqueConstraint("id", "source"),
    Index("event_log_task_idx", "task_id", "epoch", "seq"),
    Index("event_log_owner_idx", "tenant", "owner", "epoch", "seq"),
    Index("event_log_session_idx", "session_id", "epoch", "seq", postgresql_where=text("session_id IS NOT NULL")),
)

event_gap = Table(
    "event_gap",
    metadata,
    Column("epoch", Text, primary_key=True),
    Column("first_seq", BigInteger, primary_key=True, autoincrement=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("found_at", Instant, nullable=False),
)

event_repeat = Table(
    "event_repeat",
    metadata,
    Column("epoch", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("source", Text, nullable=False),
    Column("id", Text, nullable=False, comment="the event that event_log has already"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("position", BigInteger, primary_key=True),
    Column("event_id", Text, nullable=False, unique=True),
    Column("subject", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
