"""Keep checkpoints of sessions, and the one that a task's next attempt begins with; find sessions by their parent."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_INSTANT = postgresql.TIMESTAMP(timezone=True)


def upgrade() -> None:
    op.create_table(
        "checkpoint",
        sa.Column("id", sa.Text(), nullable=False, comment="line/number modulo 100: older ones make room"),
        sa.Column("line_id", sa.Text(), nullable=False, comment="the session, or task/ID where there is none"),
        sa.Column("seq", sa.Integer(), nullable=False, comment="counts from 1 without a hole"),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), comment="the run that said it; NULL if its owner did"),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("agent_id", sa.Text()),
        sa.Column("note", sa.Text()),
        sa.Column("data", sa.Text(), nullable=False, comment="JSON"),
        sa.Column("size", sa.Integer(), nullable=False, comment="bytes of the data"),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="checkpoint_pkey"),
        sa.UniqueConstraint("line_id", "seq", name="checkpoint_line_id_seq_key"),
    )
    op.create_table(
        "checkpoint_line",
        sa.Column("id", sa.Text(), nullable=False, comment="the session, or task/ID where there is none"),
        sa.Column("last_seq", sa.Integer(), nullable=False, comment="the number of the last checkpoint"),
        sa.PrimaryKeyConstraint("id", name="checkpoint_line_pkey"),
    )
    op.create_table(
        "task_checkpoint",
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False, comment="the checkpoint that the next attempt begins with"),
        sa.Column("note", sa.Text()),
        sa.Column("data", sa.Text(), nullable=False, comment="JSON"),
        sa.PrimaryKeyConstraint("task_id", name="task_checkpoint_pkey"),
    )
    op.create_index("session_parent_idx", "session", ["parent_id"], postgresql_where=sa.text("parent_id IS NOT NULL"))


def downgrade() -> None:
    op.drop_index("session_parent_idx", table_name="session")
    for name in ("task_checkpoint", "checkpoint_line", "checkpoint"):
        op.drop_table(name)
