"""Sessions (a conversation, a piece of work, a workflow) and the messages of a conversation."""

from sqlalchemy import CheckConstraint, Column, Index, Integer, Table, Text, UniqueConstraint, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from storage.models.base import Instant, metadata

session = Table(
    "session",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("title", Text),
    Column("session_type", Text),
    Column("tags", JSONB, nullable=False),
    Column("metadata", JSONB, nullable=False),
    Column("agent_config", JSONB),
    Column("max_duration_seconds", Integer),
    Column("parent_id", Text, comment="the session this one belongs to"),
    Column("task_id", Uuid, comment="the task whose status is the session's: the first one, or the latest turn"),
    Column("turns", JSONB, nullable=False, comment="ids of the turns that have not ended, in order of arrival"),
    Column("active_turn", Uuid, comment="the first of them, once it has begun"),
    Column("last_seq", Integer, nullable=False, comment="how many messages there are"),
    Column("version", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    CheckConstraint("kind IN ('work', 'chat', 'workflow')", name="session_kind_check"),
    CheckConstraint("status IN ('open', 'archived')", name="session_status_check"),
    CheckConstraint("last_seq >= 0", name="session_last_seq_check"),
    Index("session_owner_idx", "tenant", "owner", text("updated_at DESC"), text("id DESC")),
    Index("session_parent_idx", "parent_id", postgresql_where=text("parent_id IS NOT NULL")),
)

placeholder = Table(
    "placeholder",
    metadata,
    Column("id", Text, primary_key=True, comment="tenant/session, or tenant/task where there is no session"),
    Column("tenant", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("session_id", Text, nullable=False),
    Column("names", JSONB, nullable=False, comment="placeholder -> {tag, value}: what it stands for, encrypted"),
)

message = Table(
    "message",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("session_id", Text, nullable=False),
    Column("seq", Integer, nullable=False, comment="counts from 1 without a hole"),
    Column("task_id", Uuid, nullable=False, index=True),
    Column("execution_id", Uuid, comment="the execution that said it; its tool calls are the message's"),
    Column("role", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    UniqueConstraint("session_id", "seq"),
    CheckConstraint("role IN ('user', 'assistant', 'system', 'tool')", name="message_role_check"),
    CheckConstraint("seq >= 1", name="message_seq_check"),
)
