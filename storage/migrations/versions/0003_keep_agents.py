"""Keep who can do work."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "agent",
        sa.Column("id", sa.Text(), nullable=False, comment="<tenant>/<agent id>"),
        sa.Column("tenant", sa.Text(), nullable=False, comment="`_`: an agent of ours, it works for every tenant"),
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("agent_type", sa.Text(), nullable=False),
        sa.Column("capabilities", postgresql.JSONB(), nullable=False, comment="name -> weight"),
        sa.Column("technologies", postgresql.JSONB(), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.Column(
            "outside",
            sa.Boolean(),
            nullable=False,
            comment="it pulls its work; the others run in a consumer of ours",
        ),
        sa.Column("token_hash", sa.Text(), comment="sha256 in hexadecimal; NULL: no token is good"),
        sa.Column("agent_version", sa.Text()),
        sa.Column("metadata", postgresql.JSONB(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("draining", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("registered_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("heartbeat_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column(
            "reported",
            postgresql.JSONB(),
            comment="what it said of its own load last: shown, never believed",
        ),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("quality", sa.Double(), nullable=False),
        sa.Column("load_level", sa.Text(), nullable=False),
        sa.Column("breaker", sa.Text(), nullable=False),
        sa.Column("available", sa.Boolean(), nullable=False),
        sa.Column("in_flight", sa.Integer(), nullable=False),
        sa.CheckConstraint("status IN ('active', 'draining', 'offline', 'gone')", name=op.f("agent_status_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("agent_pkey")),
        sa.UniqueConstraint("tenant", "agent_id", name=op.f("agent_tenant_agent_id_key")),
    )
    op.create_index("agent_heartbeat_idx", "agent", ["status", "heartbeat_at"])
    op.add_column(
        "task",
        sa.Column(
            "routing",
            postgresql.JSONB(),
            comment="events.task.Routing, if its owner wishes anything of the agent",
        ),
    )
    op.create_index(
        "run_agent_idx",
        "run",
        ["agent_id", sa.text("finished_at DESC")],
        postgresql_where=sa.text("finished_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("run_agent_idx", table_name="run")
    op.drop_column("task", "routing")
    op.drop_table("agent")
