"""Workflow events: a set of specification files with one draft and numbered versions."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from events.base import EventData
from events.files import FilePath, Tree

WorkflowAction = Literal["create", "publish", "discard", "deploy", "lock", "unlock"]

LOCKED = "workflow_locked"
"""Why somebody else may not change it now."""
LOCKED_FOR = 900
"""Seconds that a lock is held if nothing else is said."""
LOCKED_AT_MOST = 86_400


class WorkflowEvent(EventData, aggregate="workflow"):
    """Any event about one workflow."""

    workflow_id: UUID

    @property
    def subject_id(self) -> str:
        """The workflow's id."""
        return str(self.workflow_id)


class WorkflowControl(WorkflowEvent, name="control"):
    """Someone wants a workflow made (with these files, path -> text), its draft published or discarded, the version
    `number` deployed, or the workflow to be theirs alone to change, for `ttl_seconds` at most.
    """

    action: WorkflowAction
    by: str
    name: str | None = Field(default=None, max_length=200)
    description: str | None = None
    files: Annotated[dict[FilePath, str], Tree] = Field(default_factory=dict)
    expected_version: int | None = None
    number: int | None = None
    ttl_seconds: int | None = Field(default=None, ge=1, le=LOCKED_AT_MOST)
    body_sha256: str | None = None


class WorkflowChanged(WorkflowEvent, name="changed"):
    """A workflow as it is now: its draft's version and paths, the version last published and the one that is deployed,
    and who holds its lock.
    """

    is_state: ClassVar[bool] = True

    action: Literal[WorkflowAction, "approve"]
    version: int
    draft_version: int
    paths: tuple[str, ...] = ()
    published: int | None = None
    deployed: int | None = None
    locked_by: str | None = None
    locked_until: datetime | None = None
    by: str
