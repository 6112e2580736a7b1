"""Note what was taken out of the log into files."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_FILE = "where it was written; it is known by its digest"
_REMOVED = "NULL: some of its rows may still be in the log"
_RESTORED = "NULL: some of its rows are not in the log"
_PLACE = "with seq: the place of the last event taken out"


def _instant(name: str, *, nullable: bool = False, comment: str | None = None) -> sa.Column[object]:
    return sa.Column(name, postgresql.TIMESTAMP(timezone=True), nullable=nullable, comment=comment)


def upgrade() -> None:
    op.create_table(
        "archive",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False, comment=_FILE),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        _instant("before"),
        sa.Column("first_epoch", sa.Text(), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("last_epoch", sa.Text(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        _instant("written_at"),
        _instant("removed_at", nullable=True, comment=_REMOVED),
        _instant("restored_at", nullable=True, comment=_RESTORED),
        sa.PrimaryKeyConstraint("id", name="archive_pkey"),
    )
    op.create_table(
        "archived_task",
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("archive_id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text()),
        sa.Column("epoch", sa.Text(), nullable=False, comment=_PLACE),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("task_id", "archive_id", name="archived_task_pkey"),
    )
    op.create_index("archived_task_owner_idx", "archived_task", ["tenant", "owner", "epoch", "seq"])
    op.create_index(
        "archived_task_session_idx", "archived_task", ["session_id"], postgresql_where=sa.text("session_id IS NOT NULL")
    )
    op.create_index("archived_task_archive_idx", "archived_task", ["archive_id"])


def downgrade() -> None:
    op.drop_table("archived_task")
    op.drop_table("archive")
