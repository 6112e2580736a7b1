"""Proposal events: a snapshot of files that a person approves or rejects."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from events.base import EventData
from events.files import MAX_FILE_BYTES, MEDIA_TYPE, SHA256, FilePath, Tree
from events.ids import Name
from events.run import Snapshot

Decision = Literal["approve", "reject"]
ProposalStatus = Literal["extracting", "pending", "approved", "rejected", "superseded", "expired"]


class FileSummary(BaseModel):
    """What a proposal says of one file without its text."""

    model_config = ConfigDict(frozen=True)

    sha256: str = Field(pattern=SHA256)
    size: int = Field(ge=0, le=MAX_FILE_BYTES)
    media_type: str = Field(pattern=MEDIA_TYPE)


class ProposalEvent(EventData, aggregate="proposal"):
    """Any event about one proposal; its id is derived from its task's (`derived_id(task_id, "proposal")`)."""

    proposal_id: UUID
    task_id: UUID

    @property
    def subject_id(self) -> str:
        """The proposal's id."""
        return str(self.proposal_id)


class ProposalExtracted(ProposalEvent, name="extracted"):
    """The execution that finished left these files: its last full snapshot."""

    run_id: UUID
    execution_id: UUID
    snapshot: Snapshot
    summary: str
    files: Annotated[dict[FilePath, FileSummary], Tree]


class ProposalDecide(ProposalEvent, name="decide"):
    """Someone decides; `expire` is the janitor's, 24 h after the proposal came."""

    decision: Literal["approve", "reject", "expire"]
    by: str
    digest: str | None = None
    reason: str | None = None


class ProposalShare(ProposalEvent, name="share"):
    """Someone lets another see a proposal (`viewer`) or decide it too (`owner`), or no longer (`none`)."""

    grantee: Name
    access: Literal["owner", "viewer", "none"]
    by: str


class ProposalEntered(ProposalEvent):
    """A proposal entered a state, and the database says so too."""

    status: ClassVar[ProposalStatus]
    is_state: ClassVar[bool] = True

    workflow_id: UUID
    from_status: ProposalStatus | None = None
    version: int
    digest: str
    base_version: int
    by: str | None = None
    reason: str | None = None
    applied: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    expires_at: datetime | None = None


class ProposalExtracting(ProposalEntered, name="extracting"):
    """Its task has succeeded and left files; they become the proposal as soon as they are extracted."""

    status = "extracting"


class ProposalPending(ProposalEntered, name="pending"):
    """Ready to be decided."""

    status = "pending"


class ProposalApproved(ProposalEntered, name="approved"):
    """Its files are the draft's now: `applied` were written, `removed` are gone."""

    status = "approved"


class ProposalRejected(ProposalEntered, name="rejected"):
    """The draft stays as it was."""

    status = "rejected"


class ProposalSuperseded(ProposalEntered, name="superseded"):
    """The draft moved on under it (`conflicts`: in which paths), or newer ones took its place."""

    status = "superseded"


class ProposalExpired(ProposalEntered, name="expired"):
    """Nobody decided in time, or there is nothing to decide: its task was cancelled, or brought no files."""

    status = "expired"


PROPOSAL_EVENTS: dict[ProposalStatus, type[ProposalEntered]] = {
    event.status: event
    for event in (
        ProposalExtracting,
        ProposalPending,
        ProposalApproved,
        ProposalRejected,
        ProposalSuperseded,
        ProposalExpired,
    )
}
"""The event that announces each state."""
