"""Workflow events: a set of specification files with one draft and numbered versions."""

from typing import Literal
from uuid import UUID

from pydantic import Field

from events.base import EventData, JsonObject
from events.ids import Name

WorkflowAction = Literal["create", "update", "publish", "discard", "grant", "revoke"]


class WorkflowEvent(EventData, aggregate="workflow"):
    """Any event about one workflow."""

    workflow_id: UUID

    @property
    def subject_id(self) -> str:
        """The workflow's id."""
        return str(self.workflow_id)


class WorkflowControl(WorkflowEvent, name="control"):
    """Someone wants a workflow made, described anew, published, its draft discarded, or shared with `grantee`."""

    action: WorkflowAction
    by: str
    name: str | None = Field(default=None, max_length=200)
    description: str | None = None
    files: dict[str, str] | None = None
    expected_version: int | None = None
    grantee: Name | None = None
    body_sha256: str | None = None
    details: JsonObject = Field(default_factory=dict)


class WorkflowChanged(WorkflowEvent, name="changed"):
    """A workflow as it is now: its draft's version and paths, and the version last published."""

    action: Literal[WorkflowAction, "approve"]
    version: int
    draft_version: int
    paths: tuple[str, ...] = ()
    published: int | None = None
    by: str
