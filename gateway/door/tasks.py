"""Tasks through the door: asking for one, and having one divided."""

from uuid import UUID

from pydantic import BaseModel

from events.base import Event, EventData
from events.ids import derived_id
from events.plan import TaskDecompose
from events.task import TaskSubmitted
from gateway.accept import SOURCE
from gateway.auth.bearer import WRITE
from gateway.auth.sender import Kind
from gateway.door.arrival import Arrival
from gateway.door.rules import Said, read_said
from gateway.tasks.lookup import Lookup
from gateway.tasks.requests import DecomposeRequest, TaskRequest
from storage.tasks import TaskRow


class SubmittedByProducer(Said):
    """A task that is asked for; `spec` is the body of POST /api/v1/tasks."""

    spec: TaskRequest


class DecomposeByProducer(DecomposeRequest):
    """A task that is to be divided; the rest is the body of POST /api/v1/tasks/{task_id}/decompose."""

    task_id: UUID


class SubmittingRule:
    """task.submitted: its task id follows from the sender, the event's source and its id.

    The attribute `sessionid` puts it into a session of the sender's.
    """

    payload: type[EventData] = TaskSubmitted
    said: type[BaseModel] = SubmittedByProducer
    who: Kind = "user"
    scope: str | None = WRITE

    async def admit(self, arrival: Arrival) -> Event[EventData]:
        """As POST /api/v1/tasks with the event's id as Idempotency-Key would make it."""
        said = read_said(SubmittedByProducer, arrival)
        data = TaskSubmitted(
            task_id=arrival.subject_id,
            spec=said.spec.spec(),
            idempotency_key=arrival.attributes.id,
            body_sha256=arrival.fingerprint,
        )
        session_id = arrival.attributes.sessionid
        return stamped(arrival, data, owner=arrival.sender.name, task_id=arrival.subject_id, session_id=session_id)


class DecomposingRule:
    """task.decompose: on the sender's own tasks, or with scope tenant on any of the tenant's."""

    payload: type[EventData] = TaskDecompose
    said: type[BaseModel] = DecomposeByProducer
    who: Kind = "user"
    scope: str | None = WRITE

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    async def admit(self, arrival: Arrival) -> Event[EventData]:
        """As POST /api/v1/tasks/{task_id}/decompose would make it. Raises NotFoundError."""
        said = read_said(DecomposeByProducer, arrival)
        found = await self._lookup.task(arrival.sender.principal, said.task_id)
        plan_id = derived_id(arrival.event_id, "plan")
        data = TaskDecompose(task_id=found.id, plan_id=plan_id, by=arrival.sender.name, options=said.options())
        session_id = found.session_id if isinstance(found, TaskRow) else None
        return stamped(arrival, data, owner=found.owner, task_id=found.id, session_id=session_id)


def stamped(
    arrival: Arrival,
    data: EventData,
    *,
    owner: str,
    task_id: UUID | None = None,
    session_id: str | None = None,
) -> Event[EventData]:
    """The event for the bus: ours by source, the sender's by tenant."""
    return Event.first(
        data,
        source=SOURCE,
        tenant=arrival.sender.tenant,
        owner=owner,
        task_id=task_id,
        session_id=session_id,
        event_id=arrival.event_id,
        traceparent=arrival.traceparent,
    )
