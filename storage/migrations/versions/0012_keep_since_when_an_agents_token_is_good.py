"""Keep since when an agent's token is the one that is good: what began before has lost who worked on it."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_SINCE = "since when its token is the one that is good"


def upgrade() -> None:
    op.add_column("agent", sa.Column("token_since", sa.DateTime(timezone=True), comment=_SINCE))


def downgrade() -> None:
    op.drop_column("agent", "token_since")
