"""Keep contexts, their last changes, and how many each owner has."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_INSTANT = postgresql.TIMESTAMP(timezone=True)


def upgrade() -> None:
    op.create_table(
        "context",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False, comment="session, agent, global or temporary"),
        sa.Column("session_id", sa.Text()),
        sa.Column("agent_id", sa.Text()),
        sa.Column(
            "open", sa.Boolean(), nullable=False, comment="neither deleted nor past its time; else the data is empty"
        ),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False, comment="JSON"),
        sa.Column("size", sa.Integer(), nullable=False, comment="bytes of the data"),
        sa.Column("keys", sa.Integer(), nullable=False, comment="of all objects in the data"),
        sa.Column("ttl_seconds", sa.Integer(), comment="how long it is kept after a change, if not as its scope says"),
        sa.Column("shared_from", sa.Uuid(), comment="the context that this one began as a copy of"),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("updated_at", _INSTANT, nullable=False),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.Column("expires_at", _INSTANT),
        sa.PrimaryKeyConstraint("id", name="context_pkey"),
    )
    op.create_index(
        "context_owner_idx",
        "context",
        ["tenant", "owner", sa.text("created_at DESC"), sa.text("id DESC")],
        postgresql_where=sa.text("open"),
    )
    op.create_index("context_due_idx", "context", ["expires_at"], postgresql_where=sa.text("open"))
    op.create_table(
        "context_change",
        sa.Column("context_id", sa.Uuid(), nullable=False),
        sa.Column(
            "slot",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="version modulo 100: older ones make room",
        ),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.Column("changed_at", _INSTANT, nullable=False),
        sa.Column(
            "keys", postgresql.JSONB(), nullable=False, comment="the places that changed, at most a hundred of them"
        ),
        sa.Column("changes", sa.Integer(), nullable=False, comment="how many places changed"),
        sa.Column(
            "conflicts", postgresql.JSONB(), nullable=False, comment="the places that what was merged disagreed on"
        ),
        sa.Column("sources", postgresql.JSONB(), nullable=False, comment="ids of what was merged or copied"),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("context_id", "slot", name="context_change_pkey"),
    )
    op.create_table(
        "context_shelf",
        sa.Column("id", sa.Text(), nullable=False, comment="tenant/owner"),
        sa.Column(
            "open", sa.Integer(), nullable=False, comment="contexts that are neither deleted nor past their time"
        ),
        sa.PrimaryKeyConstraint("id", name="context_shelf_pkey"),
    )


def downgrade() -> None:
    for name in ("context_shelf", "context_change", "context"):
        op.drop_table(name)
