"""Workflow events: a set of specification files with one draft and numbered versions."""

from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from events.base import EventData
from events.files import FilePath, Tree

WorkflowAction = Literal["create", "publish", "discard"]


class WorkflowEvent(EventData, aggregate="workflow"):
    """Any event about one workflow."""

    workflow_id: UUID

    @property
    def subject_id(self) -> str:
        """The workflow's id."""
        return str(self.workflow_id)


class WorkflowControl(WorkflowEvent, name="control"):
    """Someone wants a workflow made (with these files, path -> text), its draft published, or its draft discarded."""

    action: WorkflowAction
    by: str
    name: str | None = Field(default=None, max_length=200)
    description: str | None = None
    files: Annotated[dict[FilePath, str], Tree] = Field(default_factory=dict)
    expected_version: int | None = None
    body_sha256: str | None = None


class WorkflowChanged(WorkflowEvent, name="changed"):
    """A workflow as it is now: its draft's version and paths, and the version last published."""

    is_state: ClassVar[bool] = True

    action: Literal[WorkflowAction, "approve"]
    version: int
    draft_version: int
    paths: tuple[str, ...] = ()
    published: int | None = None
    by: str
