"""The last hundred checkpoints of each session, how many there were, and what a task's next attempt begins with.

A checkpoint's data is text: a number, and the order of keys, comes back as it was written.
"""

from sqlalchemy import Column, Integer, Table, Text, UniqueConstraint, Uuid

from storage.models.base import Instant, metadata

checkpoint = Table(
    "checkpoint",
    metadata,
    Column("id", Text, primary_key=True, comment="line/number modulo 100: older ones make room"),
    Column("line_id", Text, nullable=False, comment="the session, or task/ID where there is none"),
    Column("seq", Integer, nullable=False, comment="counts from 1 without a hole"),
    Column("task_id", Uuid, nullable=False),
    Column("run_id", Uuid, comment="the run that said it; NULL if its owner did"),
    Column("attempt", Integer, nullable=False),
    Column("agent_id", Text),
    Column("note", Text),
    Column("data", Text, nullable=False, comment="JSON"),
    Column("size", Integer, nullable=False, comment="bytes of the data"),
    Column("created_at", Instant, nullable=False),
    Column("event_id", Text, nullable=False),
    UniqueConstraint("line_id", "seq"),
)

checkpoint_line = Table(
    "checkpoint_line",
    metadata,
    Column("id", Text, primary_key=True, comment="the session, or task/ID where there is none"),
    Column("last_seq", Integer, nullable=False, comment="the number of the last checkpoint"),
)

task_checkpoint = Table(
    "task_checkpoint",
    metadata,
    Column("task_id", Uuid, primary_key=True),
    Column("seq", Integer, nullable=False, comment="the checkpoint that the next attempt begins with"),
    Column("note", Text),
    Column("data", Text, nullable=False, comment="JSON"),
)
