"""Keep where an agent is called with its work, and what is said of its work."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_ENDPOINT = "where it is called with its work; NULL: it pulls"
_NOTES = "what was said of its work, the newest first: shown, never counted"


def upgrade() -> None:
    op.add_column("agent", sa.Column("endpoint_url", sa.Text(), comment=_ENDPOINT))
    op.add_column("agent", sa.Column("notes", postgresql.JSONB(), comment=_NOTES))


def downgrade() -> None:
    op.drop_column("agent", "notes")
    op.drop_column("agent", "endpoint_url")
