"""Workflows with their drafts and versions, the proposals made for them, and the texts of all their files.

Sets of files are manifests, `{path: {sha256, size, media_type}}`; a text is kept once a tenant, by its digest.
"""

from sqlalchemy import Column, Index, Integer, LargeBinary, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from storage.models.base import Instant, metadata

blob = Table(
    "blob",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("sha256", Text, primary_key=True),
    Column("size", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False, comment="UTF-8, NUL and all"),
)

workflow = Table(
    "workflow",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("body_sha256", Text),
    Column("created_at", Instant, nullable=False),
    Column("version", Integer, nullable=False),
    Column("draft_version", Integer, nullable=False, comment="+1 whenever the draft's files change"),
    Column("draft_files", JSONB, nullable=False),
    Column("published", Integer, comment="the number of the version last published"),
    Column("published_files", JSONB, nullable=False),
    Column("open_proposals", JSONB, nullable=False, comment="ids of those that are not decided"),
    Column("updated_at", Instant, nullable=False),
    Column("deployed", Integer, comment="the number of the version that is deployed"),
    Column("deployed_by", Text),
    Column("deployed_at", Instant),
    Column("locked_by", Text, comment="nobody else changes it until then"),
    Column("locked_at", Instant),
    Column("locked_until", Instant),
    Index("workflow_owner_idx", "tenant", "owner", text("created_at DESC"), text("id DESC")),
)

workflow_version = Table(
    "workflow_version",
    metadata,
    Column("workflow_id", Uuid, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("files", JSONB, nullable=False),
    Column("digest", Text, nullable=False),
    Column("draft_version", Integer, nullable=False),
    Column("published_by", Text, nullable=False),
    Column("published_at", Instant, nullable=False),
    Column("event_id", Text, nullable=False, comment="the workflow.control that asked for it"),
)

proposal = Table(
    "proposal",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("task_id", Uuid, nullable=False, unique=True),
    Column("workflow_id", Uuid, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("base_version", Integer, nullable=False, comment="the draft's version when it was asked for"),
    Column("base_files", JSONB, nullable=False),
    # From here on: what changes in a proposal's life.
    Column("status", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("execution_id", Uuid, comment="the execution whose snapshot this is"),
    Column("run_id", Uuid),
    Column("snapshot_id", Text, comment="the run.files event that holds it"),
    Column("snapshot_seq", Integer),
    Column("files", JSONB, comment="the last full snapshot"),
    Column("parts", JSONB, nullable=False, comment="sha256 -> size of large files that were sent alone"),
    Column("digest", Text),
    Column("summary", Text),
    Column("ready_at", Instant),
    Column("expires_at", Instant),
    Column("decided_by", Text),
    Column("decided_at", Instant),
    Column("reason", Text),
    Column("conflicts", JSONB, comment="the paths in which its base differs from the draft that overtook it"),
    Column("driving_id", Text, comment="the event that must make it move on"),
    Column("updated_at", Instant, nullable=False),
    Index("proposal_workflow_idx", "workflow_id", text("created_at DESC"), text("id DESC")),
    Index("proposal_owner_idx", "tenant", "owner", text("created_at DESC"), text("id DESC")),
    Index("proposal_due_idx", "expires_at", postgresql_where=text("status = 'pending'")),
    Index("proposal_extracting_idx", "updated_at", postgresql_where=text("status = 'extracting'")),
)

proposal_access = Table(
    "proposal_access",
    metadata,
    Column("proposal_id", Uuid, primary_key=True),
    Column("grantee", Text, primary_key=True),
    Column("access", Text, nullable=False, comment="owner, viewer, or none once taken back"),
    Column("granted_by", Text, nullable=False),
    Column("granted_at", Instant, nullable=False),
    Index("proposal_access_grantee_idx", "grantee"),
)
