"""What was taken out of the log into files: each file, and the tasks whose history it holds."""

from sqlalchemy import BigInteger, Column, Index, PrimaryKeyConstraint, Table, Text, Uuid, text

from storage.models.base import Instant, metadata

ARCHIVED = ("task", "run", "route", "message")
"""The kinds of events that are taken out: more than nine of ten, and of one task each, which ends."""

archive = Table(
    "archive",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("file", Text, nullable=False, comment="where it was written; it is known by its digest"),
    Column("sha256", Text, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("before", Instant, nullable=False),
    Column("first_epoch", Text, nullable=False),
    Column("first_seq", BigInteger, nullable=False),
    Column("last_epoch", Text, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("written_at", Instant, nullable=False),
    Column("removed_at", Instant, comment="NULL: some of its rows may still be in the log"),
    Column("restored_at", Instant, comment="NULL: some of its rows are not in the log"),
)

archived_task = Table(
    "archived_task",
    metadata,
    Column("task_id", Uuid, nullable=False),
    Column("archive_id", Uuid, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("session_id", Text),
    Column("epoch", Text, nullable=False, comment="with seq: the place of the last event taken out"),
    Column("seq", BigInteger, nullable=False),
    PrimaryKeyConstraint("task_id", "archive_id"),
    Index("archived_task_owner_idx", "tenant", "owner", "epoch", "seq"),
    Index("archived_task_session_idx", "session_id", postgresql_where=text("session_id IS NOT NULL")),
    Index("archived_task_archive_idx", "archive_id"),
)
