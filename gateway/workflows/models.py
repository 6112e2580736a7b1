"""The shapes of the answers about workflows and proposals, for the OpenAPI document."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel

ProposalStatus = Literal["processing", "completed", "failed", "resolved", "superseded", "expired"]


class File(BaseModel):
    """One file."""

    content: str
    media_type: str
    size: int
    sha256: str


class DraftSummary(BaseModel):
    """The draft without its texts; `digest` names the whole set of files."""

    version: int
    status: Literal["in_progress", "unchanged"]
    digest: str
    paths: list[str]


class Workflow(BaseModel):
    """A workflow with its one draft; `production_version` is the one that is deployed."""

    id: UUID
    name: str
    description: str | None
    created_by: str
    created_at: datetime
    updated_at: datetime
    version: int
    published_version: int | None
    production_version: int | None
    deployed_by: str | None
    deployed_at: datetime | None
    is_locked: bool
    locked_by: str | None
    locked_at: datetime | None
    locked_until: datetime | None
    draft: DraftSummary


class WorkflowPage(BaseModel):
    """A page of workflows, newest first."""

    items: list[Workflow]
    next_cursor: str | None


class Draft(BaseModel):
    """The draft with its texts."""

    workflow_id: UUID
    version: int
    status: Literal["in_progress", "unchanged"]
    based_on_version: int | None
    digest: str
    updated_at: datetime
    files: dict[str, File]


class VersionSummary(BaseModel):
    """A published version without its texts."""

    workflow_id: UUID
    version_number: int
    status: Literal["published", "deprecated"]
    digest: str
    paths: list[str]
    published_by: str
    published_at: datetime


class Version(VersionSummary):
    """A published version."""

    files: dict[str, File]


class VersionPage(BaseModel):
    """A page of versions, newest first."""

    items: list[VersionSummary]
    next_cursor: int | None


class RefinementAccepted(BaseModel):
    """202: the refinement is kept; its proposal can be read at once."""

    proposal_id: UUID
    thread_id: UUID
    status: Literal["processing"]
    websocket_url: str
    created_at: datetime


class Kept(BaseModel):
    """202: the log has the command, its outcome is not known yet."""

    id: UUID
    message: str


class ProposalError(BaseModel):
    """Why there are no files."""

    code: str
    message: str


class ProposalSummary(BaseModel):
    """A proposal without its texts; `base_version` is the draft's, null until the database has the proposal."""

    id: UUID
    workflow_id: UUID
    thread_id: UUID
    status: ProposalStatus
    resolution: Literal["approved", "rejected"] | None
    user_prompt: str | None
    context_file_path: str | None
    context_selection: str | None
    summary: str | None
    digest: str | None
    base_version: int | None
    conflicts: list[str]
    error: ProposalError | None
    created_by: str
    created_at: datetime
    completed_at: datetime | None
    expires_at: datetime | None
    resolved_by: str | None
    resolved_at: datetime | None
    reason: str | None


class Proposal(ProposalSummary):
    """A proposal with its files and what they would change in the draft it was made for (a unified diff)."""

    generated_files: dict[str, File] | None
    diff: str | None


class ProposalPage(BaseModel):
    """A page of proposals, newest first."""

    items: list[ProposalSummary]
    next_cursor: str | None


class Approved(BaseModel):
    """The draft is what was proposed."""

    proposal_id: UUID
    approved_at: datetime
    message: str


class Rejected(BaseModel):
    """The draft is what it was."""

    proposal_id: UUID
    message: str


class Grant(BaseModel):
    """Somebody else's access to a proposal."""

    proposal_id: UUID
    user_id: str
    access_type: Literal["owner", "viewer"]
    granted_by: str
    granted_at: datetime


class GrantList(BaseModel):
    """Who else has access."""

    items: list[Grant]
