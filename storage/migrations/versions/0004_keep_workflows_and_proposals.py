"""Keep workflows, drafts, versions, snapshots and proposals."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_JSON = postgresql.JSONB(astext_type=sa.Text())
_INSTANT = postgresql.TIMESTAMP(timezone=True)
_NEWEST = [sa.literal_column("created_at DESC"), sa.literal_column("id DESC")]


def upgrade() -> None:
    """Build."""
    op.create_table(
        "blob",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False, comment="UTF-8, NUL and all"),
        sa.PrimaryKeyConstraint("tenant", "sha256", name=op.f("blob_pkey")),
    )
    _create_workflows()
    _create_proposals()
    op.execute("CREATE SCHEMA IF NOT EXISTS engine")  # the spec engine's own; its checkpointer makes the tables


def _create_workflows() -> None:
    op.create_table(
        "workflow",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("body_sha256", sa.Text(), nullable=True),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("draft_version", sa.Integer(), nullable=False, comment="+1 whenever the draft's files change"),
        sa.Column("draft_files", _JSON, nullable=False),
        sa.Column("published", sa.Integer(), nullable=True, comment="the number of the version last published"),
        sa.Column("published_files", _JSON, nullable=False),
        sa.Column("open_proposals", _JSON, nullable=False, comment="ids of those that are not decided"),
        sa.Column("updated_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("workflow_pkey")),
    )
    op.create_index("workflow_owner_idx", "workflow", ["tenant", "owner", *_NEWEST], unique=False)
    op.create_table(
        "workflow_version",
        sa.Column("workflow_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("files", _JSON, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("draft_version", sa.Integer(), nullable=False),
        sa.Column("published_by", sa.Text(), nullable=False),
        sa.Column("published_at", _INSTANT, nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False, comment="the workflow.control that asked for it"),
        sa.PrimaryKeyConstraint("workflow_id", "number", name=op.f("workflow_version_pkey")),
    )


def _create_proposals() -> None:
    op.create_table(
        "proposal",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("workflow_id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("base_version", sa.Integer(), nullable=False, comment="the draft's version when it was asked for"),
        sa.Column("base_files", _JSON, nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("execution_id", sa.Uuid(), nullable=True, comment="the execution whose snapshot this is"),
        sa.Column("run_id", sa.Uuid(), nullable=True),
        sa.Column("snapshot_id", sa.Text(), nullable=True, comment="the run.files event that holds it"),
        sa.Column("snapshot_seq", sa.Integer(), nullable=True),
        sa.Column("files", _JSON, nullable=True, comment="the last full snapshot"),
        sa.Column("parts", _JSON, nullable=False, comment="sha256 -> size of large files that were sent alone"),
        sa.Column("digest", sa.Text(), nullable=True),
        sa.Column("summary", sa.Text(), nullable=True),
        sa.Column("ready_at", _INSTANT, nullable=True),
        sa.Column("expires_at", _INSTANT, nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at", _INSTANT, nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column(
            "conflicts",
            _JSON,
            nullable=True,
            comment="the paths in which its base differs from the draft that overtook it",
        ),
        sa.Column("driving_id", sa.Text(), nullable=True, comment="the event that must make it move on"),
        sa.Column("updated_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("proposal_pkey")),
        sa.UniqueConstraint("task_id", name=op.f("proposal_task_id_key")),
    )
    op.create_index("proposal_workflow_idx", "proposal", ["workflow_id", *_NEWEST], unique=False)
    op.create_index("proposal_owner_idx", "proposal", ["tenant", "owner", *_NEWEST], unique=False)
    for name, column, status in (
        ("proposal_due_idx", "expires_at", "pending"),
        ("proposal_extracting_idx", "updated_at", "extracting"),
    ):
        op.create_index(name, "proposal", [column], unique=False, postgresql_where=sa.text(f"status = '{status}'"))
    op.create_table(
        "proposal_access",
        sa.Column("proposal_id", sa.Uuid(), nullable=False),
        sa.Column("grantee", sa.Text(), nullable=False),
        sa.Column("access", sa.Text(), nullable=False, comment="owner, viewer, or none once taken back"),
        sa.Column("granted_by", sa.Text(), nullable=False),
        sa.Column("granted_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("proposal_id", "grantee", name=op.f("proposal_access_pkey")),
    )
    op.create_index("proposal_access_grantee_idx", "proposal_access", ["grantee"], unique=False)


def downgrade() -> None:
    """Take back."""
    op.execute("DROP SCHEMA IF EXISTS engine CASCADE")
    for table in ("proposal_access", "proposal", "workflow_version", "workflow", "blob"):
        op.drop_table(table)
