"""The course of a task, changed through the door: the commands that HTTP has, each with what goes with it."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field, RootModel

from events.base import Event, EventData
from events.task import Dependency, TaskControl, TaskError
from gateway.auth.bearer import WRITE
from gateway.auth.sender import Kind
from gateway.door.arrival import Arrival
from gateway.door.rules import Said, read_said
from gateway.door.tasks import stamped
from gateway.tasks.lookup import Lookup
from gateway.tasks.requests import CompleteRequest, ControlRequest, DependencyBody, FailRequest
from storage.tasks import TaskRow


class CourseCommand(ControlRequest):
    """A task started, stopped, or tried again."""

    task_id: UUID
    action: Literal["start", "cancel", "pause", "resume", "retry"]


class CompleteCommand(CompleteRequest):
    """A task that is done, on its owner's word."""

    task_id: UUID
    action: Literal["complete"]


class FailCommand(FailRequest):
    """A task that has failed, on its owner's word."""

    task_id: UUID
    action: Literal["fail"]


class LinkCommand(Said):
    """A task that is to depend on another one too; `dependency` is the body of POST /api/v1/tasks/{id}/dependencies."""

    task_id: UUID
    action: Literal["add_dependency"]
    dependency: DependencyBody


class Unlinked(Said):
    """The task that is not waited for any more."""

    task_id: UUID


class UnlinkCommand(Said):
    """A task that is not to depend on another one any more, in any way."""

    task_id: UUID
    action: Literal["remove_dependency"]
    dependency: Unlinked


Command = CourseCommand | CompleteCommand | FailCommand | LinkCommand | UnlinkCommand


class ControlSaid(RootModel[Annotated[Command, Field(discriminator="action")]]):
    """One of them, by `action`."""


class ControllingRule:
    """task.control: on the sender's own tasks, or with scope tenant on any of the tenant's."""

    payload: type[EventData] = TaskControl
    said: type[BaseModel] = ControlSaid
    who: Kind = "user"
    scope: str | None = WRITE

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    async def admit(self, arrival: Arrival) -> Event[EventData]:
        """As the routes below /api/v1/tasks/{task_id} would make it. Raises NotFoundError."""
        said = read_said(ControlSaid, arrival).root
        found = await self._lookup.task(arrival.sender.principal, said.task_id)
        data = _control(said, found.id, arrival.sender.name)
        session_id = found.session_id if isinstance(found, TaskRow) else None
        return stamped(arrival, data, owner=found.owner, task_id=found.id, session_id=session_id)


def _control(said: Command, task_id: UUID, by: str) -> TaskControl:
    control = TaskControl(task_id=task_id, action=said.action, by=by)
    match said:
        case LinkCommand():
            return control.model_copy(update={"dependency": said.dependency.dependency()})
        case UnlinkCommand():
            return control.model_copy(update={"dependency": Dependency(task_id=said.dependency.task_id)})
        case FailCommand():
            error = TaskError(code=said.code, message=said.message, retryable=False)
            return control.model_copy(update={"reason": said.code, "error": error})
        case CompleteCommand():
            return control.model_copy(update={"reason": said.reason, "result": said.result})
        case CourseCommand():
            return control.model_copy(update={"reason": said.reason})
