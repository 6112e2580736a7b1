"""Keep what steers a task: its family, dependencies, spending, and what became of a run that was stopped."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("task", sa.Column("parent_id", sa.Uuid(), comment="the task that made this one"))
    op.add_column("task", sa.Column("root_id", sa.Uuid(), comment="the first of its ancestors"))
    op.add_column(
        "task",
        sa.Column(
            "course",
            postgresql.JSONB(),
            comment="hold, children, dependants, spending: what is not as in every task",
        ),
    )
    op.add_column(
        "task",
        sa.Column(
            "effects_done",
            sa.Boolean(),
            comment="whether a run that was stopped had done its work all the same",
        ),
    )
    op.create_index("task_parent_idx", "task", ["parent_id"], postgresql_where=sa.text("parent_id IS NOT NULL"))


def downgrade() -> None:
    op.drop_index("task_parent_idx", table_name="task")
    for name in ("effects_done", "course", "root_id", "parent_id"):
        op.drop_column("task", name)
