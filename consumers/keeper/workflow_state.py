"""Workflows and proposals as the keeper folds them: immutable, one field a column of `storage.models.workflow`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, NamedTuple
from uuid import UUID

from events.ids import derived_id
from events.proposal import FileSummary, ProposalStatus

Files = Mapping[str, FileSummary]
"""A set of files without their texts, by path."""


class WorkflowState(NamedTuple):
    """A workflow with its one draft, the version last published and the one that is deployed, and its lock."""

    id: UUID
    tenant: str
    owner: str
    name: str
    description: str | None
    body_sha256: str | None
    created_at: datetime
    version: int
    draft_version: int
    draft_files: Files
    published: int | None
    published_files: Files
    open_proposals: tuple[UUID, ...]
    updated_at: datetime
    deployed: int | None = None
    deployed_by: str | None = None
    deployed_at: datetime | None = None
    locked_by: str | None = None
    locked_at: datetime | None = None
    locked_until: datetime | None = None


class ProposalState(NamedTuple):
    """A proposal from its request on, `processing` while its task runs.

    `execution_id` to `parts` are those of the execution that spoke last.
    """

    id: UUID
    task_id: UUID
    workflow_id: UUID
    tenant: str
    owner: str
    created_at: datetime
    base_version: int
    base_files: Files
    status: ProposalStatus | Literal["processing"]
    version: int
    execution_id: UUID | None
    run_id: UUID | None
    snapshot_id: str | None
    snapshot_seq: int | None
    files: Files | None
    parts: Mapping[str, int]
    digest: str | None
    summary: str | None
    ready_at: datetime | None
    expires_at: datetime | None
    decided_by: str | None
    decided_at: datetime | None
    reason: str | None
    conflicts: tuple[str, ...] | None
    driving_id: str | None
    updated_at: datetime


def proposal_id(task_id: UUID) -> UUID:
    """The id of the proposal that a refinement makes."""
    return derived_id(task_id, "proposal")


def digests(files: Files) -> dict[str, str]:
    """The digest of each file, by path."""
    return {path: file.sha256 for path, file in files.items()}
