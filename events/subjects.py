"""Subjects on NATS: five tokens ending in a bucket, never an id (a million subjects cost 0.4 GB).

Whom an event of some kind does not concern is not delivered it, where that kind has a name of its own in the subject
(docs/adr/0015).
"""

from uuid import UUID
from zlib import crc32

from events.base import Event, EventData
from events.work import WorkAssigned, WorkStopped

BUCKETS = 64
COMMITTED = "keeper.committed"
"""Core NATS: what the keeper committed last (DESIGN 4, announce)."""
MISSED = "keeper.missed"
"""Core NATS: what a gateway has shown and the log has lost."""


def bucket(session_id: str | None, task_id: UUID | None, subject_id: str) -> int:
    """The replay bucket: of the session, else of the task, else of the aggregate itself."""
    return crc32((session_id or str(task_id or subject_id)).encode()) % BUCKETS


def subject_of(event: Event[EventData]) -> str:
    """`bus.<tenant>.<aggregate>.<name>.<bucket>`; `tok.` in front for what only the token stream keeps.

    What is for one outside agent alone goes to `work.<tenant>.<agent>` or `ctl.<tenant>.<agent>`.
    """
    data = event.data
    if isinstance(data, WorkAssigned | WorkStopped):
        return f"{data.subject_root}.{event.tenantid}.{data.agent_id}"
    place = bucket(event.sessionid, event.taskid, data.subject_id)
    return f"{data.subject_root}.{event.tenantid}.{data.aggregate}.{data.subject_name}.{place}"


def filters_for(payload: type[EventData], kind: str = "") -> tuple[str, ...]:
    """The filters that match one event class of every tenant and bucket (or agent), or just one kind if it has that."""
    if issubclass(payload, WorkAssigned | WorkStopped):
        return (f"{payload.subject_root}.*.*",)
    names = (kind,) if kind in payload.subject_names else payload.subject_names
    return tuple(f"{payload.subject_root}.*.{payload.aggregate}.{name}.*" for name in names)
