"""Count what each tenant uses of its quota."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tenant_usage",
        sa.Column("id", sa.Text(), nullable=False, comment="the tenant"),
        sa.Column("sessions", sa.Integer(), nullable=False, comment="sessions that have begun and not ended"),
        sa.Column("month", sa.Text(), nullable=False, comment="2026-01, in UTC; empty before anything was spent"),
        sa.Column("tokens", sa.BigInteger(), nullable=False, comment="spent by runs that ended in that month"),
        sa.PrimaryKeyConstraint("id", name="tenant_usage_pkey"),
    )


def downgrade() -> None:
    op.drop_table("tenant_usage")
