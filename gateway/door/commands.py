"""What a user may command of sessions, proposals and workflows through the door: as the routes of HTTP have it."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field, JsonValue, RootModel

from events.base import Event, EventData
from events.ids import Name
from events.proposal import ProposalDecide
from events.session import SessionControl
from events.workflow import WorkflowControl
from gateway.auth.bearer import WRITE
from gateway.auth.sender import Kind
from gateway.door.arrival import Arrival
from gateway.door.rules import Said, read_said
from gateway.door.tasks import stamped
from gateway.workflows.access import Access
from gateway.workflows.requests import DeployRequest, LockRequest, WorkflowRequest

Tag = Annotated[str, Field(max_length=64)]


class SessionCommand(Said):
    """A session described anew or put away; absent members stay as they are."""

    session_id: Name
    action: Literal["update", "archive"]
    title: str | None = Field(default=None, max_length=200)
    tags: list[Tag] | None = Field(default=None, max_length=50)
    metadata: dict[str, JsonValue] | None = None
    expected_version: int | None = None


class DecisionCommand(Said):
    """A proposal approved or rejected; `digest`: only if it still holds those files."""

    proposal_id: UUID
    decision: Literal["approve", "reject"]
    digest: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    reason: str | None = Field(default=None, max_length=2_000)


class WorkflowCommand(WorkflowRequest):
    """A workflow made; its id follows from the sender, the event's source and its id."""

    action: Literal["create"]


class DraftCommand(Said):
    """A workflow's draft published or discarded."""

    workflow_id: UUID
    action: Literal["publish", "discard"]
    expected_version: int | None = Field(default=None, ge=1)


class DeployCommand(DeployRequest):
    """A published version deployed."""

    workflow_id: UUID
    action: Literal["deploy"]


class LockCommand(LockRequest):
    """A workflow locked."""

    workflow_id: UUID
    action: Literal["lock"]


class UnlockCommand(Said):
    """A workflow unlocked."""

    workflow_id: UUID
    action: Literal["unlock"]


_AboutWorkflow = DraftCommand | DeployCommand | LockCommand | UnlockCommand


class WorkflowSaid(RootModel[Annotated[WorkflowCommand | _AboutWorkflow, Field(discriminator="action")]]):
    """One of them, by `action`."""


class _UsersRule:
    who: Kind = "user"
    scope: str | None = WRITE


class SessionRule(_UsersRule):
    """session.control: on the sender's own sessions, which the keeper knows."""

    payload: type[EventData] = SessionControl
    said: type[BaseModel] = SessionCommand

    async def admit(self, arrival: Arrival) -> Event[EventData]:
        """As PATCH and DELETE of a session would make it."""
        said = read_said(SessionCommand, arrival)
        data = SessionControl.model_validate({**said.model_dump(exclude_unset=True), "by": arrival.sender.name})
        return stamped(arrival, data, owner=arrival.sender.name, session_id=said.session_id)


class DecisionRule(_UsersRule):
    """proposal.decide: on proposals that the sender may decide."""

    payload: type[EventData] = ProposalDecide
    said: type[BaseModel] = DecisionCommand

    def __init__(self, access: Access) -> None:
        self._access = access

    async def admit(self, arrival: Arrival) -> Event[EventData]:
        """As POST …/approve and …/reject would make it. Raises NotFoundError, ViewerError."""
        said = read_said(DecisionCommand, arrival)
        row = await self._access.own_proposal(arrival.sender.principal, said.proposal_id)
        data = ProposalDecide(
            proposal_id=row.id,
            task_id=row.task_id,
            decision=said.decision,
            by=arrival.sender.name,
            digest=said.digest,
            reason=said.reason,
        )
        return stamped(arrival, data, owner=row.owner, task_id=row.task_id, session_id=str(row.workflow_id))


class WorkflowRule(_UsersRule):
    """workflow.control: a new workflow of the sender's, or one that it may change."""

    payload: type[EventData] = WorkflowControl
    said: type[BaseModel] = WorkflowSaid

    def __init__(self, access: Access) -> None:
        self._access = access

    async def admit(self, arrival: Arrival) -> Event[EventData]:
        """As the routes below /api/workflows would make it. Raises NotFoundError."""
        said = read_said(WorkflowSaid, arrival).root
        if isinstance(said, WorkflowCommand):
            return _creation(arrival, said)
        row = await self._access.workflow(arrival.sender.principal, str(said.workflow_id))
        data = WorkflowControl(
            workflow_id=row.id,
            action=said.action,
            by=arrival.sender.name,
            expected_version=said.expected_version if isinstance(said, DraftCommand) else None,
            number=said.version_number if isinstance(said, DeployCommand) else None,
            ttl_seconds=said.ttl_seconds if isinstance(said, LockCommand) else None,
        )
        return stamped(arrival, data, owner=row.owner, session_id=str(row.id))


def _creation(arrival: Arrival, said: WorkflowCommand) -> Event[EventData]:
    data = WorkflowControl(
        workflow_id=arrival.subject_id,
        action="create",
        by=arrival.sender.name,
        name=said.name,
        description=said.description,
        files=said.files,
        body_sha256=arrival.fingerprint,
    )
    return stamped(arrival, data, owner=arrival.sender.name, session_id=str(arrival.subject_id))
