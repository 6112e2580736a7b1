"""Subjects on NATS: five tokens ending in a bucket, never an id (a million subjects cost 0.4 GB)."""

from uuid import UUID
from zlib import crc32

from events.base import Event, EventData

BUCKETS = 64
COMMITTED = "keeper.committed"
"""Core NATS: what the keeper committed last (DESIGN 4, announce)."""


def bucket(session_id: str | None, task_id: UUID | None, subject_id: str) -> int:
    """The replay bucket: of the session, else of the task, else of the aggregate itself."""
    return crc32((session_id or str(task_id or subject_id)).encode()) % BUCKETS


def subject_of(event: Event[EventData]) -> str:
    """`bus.<tenant>.<aggregate>.<name>.<bucket>`; `tok.` in front for what only the token stream keeps."""
    data = event.data
    place = bucket(event.sessionid, event.taskid, data.subject_id)
    return f"{data.subject_root}.{event.tenantid}.{data.aggregate}.{data.event_name}.{place}"


def filter_for(payload: type[EventData]) -> str:
    """The subject filter that matches one event class of every tenant and bucket."""
    return f"{payload.subject_root}.*.{payload.aggregate}.{payload.event_name}.*"
