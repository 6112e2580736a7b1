"""Keep sessions and their messages."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "session",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("title", sa.Text()),
        sa.Column("session_type", sa.Text()),
        sa.Column("tags", postgresql.JSONB(), nullable=False),
        sa.Column("metadata", postgresql.JSONB(), nullable=False),
        sa.Column("agent_config", postgresql.JSONB()),
        sa.Column("max_duration_seconds", sa.Integer()),
        sa.Column("parent_id", sa.Text(), comment="the session this one belongs to"),
        sa.Column(
            "task_id", sa.Uuid(), comment="the task whose status is the session's: the first one, or the latest turn"
        ),
        sa.Column(
            "turns",
            postgresql.JSONB(),
            nullable=False,
            comment="ids of the turns that have not ended, in order of arrival",
        ),
        sa.Column("active_turn", sa.Uuid(), comment="the first of them, once it has begun"),
        sa.Column("last_seq", sa.Integer(), nullable=False, comment="how many messages there are"),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('work', 'chat', 'workflow')", name=op.f("session_kind_check")),
        sa.CheckConstraint("status IN ('open', 'archived')", name=op.f("session_status_check")),
        sa.CheckConstraint("last_seq >= 0", name=op.f("session_last_seq_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("session_pkey")),
    )
    op.create_index("session_owner_idx", "session", ["tenant", "owner", sa.text("updated_at DESC"), sa.text("id DESC")])
    op.create_table(
        "message",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False, comment="counts from 1 without a hole"),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("execution_id", sa.Uuid(), comment="the execution that said it; its tool calls are the message's"),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.CheckConstraint("role IN ('user', 'assistant', 'system', 'tool')", name=op.f("message_role_check")),
        sa.CheckConstraint("seq >= 1", name=op.f("message_seq_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("message_pkey")),
        sa.UniqueConstraint("session_id", "seq", name=op.f("message_session_id_seq_key")),
    )
    op.create_index(op.f("message_task_id_idx"), "message", ["task_id"])
    op.create_table(
        "placeholder",
        sa.Column("id", sa.Text(), nullable=False, comment="tenant/session, or tenant/task where there is no session"),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column(
            "names",
            postgresql.JSONB(),
            nullable=False,
            comment="placeholder -> {tag, value}: what it stands for, encrypted",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("placeholder_pkey")),
    )
    op.create_index(op.f("tool_call_task_id_idx"), "tool_call", ["task_id"])
    op.create_index(
        "task_session_idx", "task", ["session_id", "created_at"], postgresql_where=sa.text("session_id IS NOT NULL")
    )
    op.add_column("event_log", sa.Column("session_id", sa.Text()))
    op.create_index(
        "event_log_session_idx",
        "event_log",
        ["session_id", "epoch", "seq"],
        postgresql_where=sa.text("session_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_column("event_log", "session_id")
    op.drop_index("task_session_idx", table_name="task")
    op.drop_index(op.f("tool_call_task_id_idx"), table_name="tool_call")
    op.drop_table("placeholder")
    op.drop_table("message")
    op.drop_table("session")
