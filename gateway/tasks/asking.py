"""The event with which work is asked for, whichever route the request came by."""

from events.base import Event, EventData
from events.ids import derived_id, new_id
from events.session import SessionSpec
from events.task import TaskSpec, TaskSubmitted
from gateway.accept import SOURCE
from gateway.http.preferences import Key
from gateway.trail import Trail


def submission(
    spec: TaskSpec,
    key: Key | None,
    trail: Trail,
    *,
    tenant: str,
    owner: str,
    by: str | None = None,
    session: SessionSpec | None = None,
    session_id: str | None = None,
) -> Event[TaskSubmitted]:
    """A new task of this owner's, with the ids of its key if it has one.

    A `session` that it opens has the id that follows from the task's, if none is given. `by`: who asks, if it matters.
    """
    task_id = key.subject_id if key else new_id()
    data = TaskSubmitted.model_construct(
        task_id=task_id,
        spec=spec,
        by=by if by != owner else None,
        session=session,
        idempotency_key=key.value if key else None,
        body_sha256=key.body_sha256 if key else None,
    )
    event: Event[EventData] = Event.first(
        data,
        source=SOURCE,
        tenant=tenant,
        owner=owner,
        task_id=task_id,
        session_id=str(derived_id(task_id, "session")) if session and session_id is None else session_id,
        event_id=key.event_id if key else None,
        traceparent=trail.traceparent,
    )
    return event  # type: ignore[return-value]  # the payload is the TaskSubmitted from above
