"""Keep who holds a workflow's lock, and which of its versions is deployed."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_INSTANT = postgresql.TIMESTAMP(timezone=True)
_ADDED = (
    sa.Column("deployed", sa.Integer(), comment="the number of the version that is deployed"),
    sa.Column("deployed_by", sa.Text()),
    sa.Column("deployed_at", _INSTANT),
    sa.Column("locked_by", sa.Text(), comment="nobody else changes it until then"),
    sa.Column("locked_at", _INSTANT),
    sa.Column("locked_until", _INSTANT),
)


def upgrade() -> None:
    for column in _ADDED:
        op.add_column("workflow", column)


def downgrade() -> None:
    for column in reversed(_ADDED):
        op.drop_column("workflow", column.name)
