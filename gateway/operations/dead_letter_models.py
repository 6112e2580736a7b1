"""The shapes of the dead letter routes' answers, for the OpenAPI document."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel


class LetterSummary(BaseModel):
    """What was given up, where it is in the log, and why; nothing of what it says."""

    number: int
    time: datetime | None
    consumer: str
    reason: str
    deliveries: int
    cursor: str
    subject: str
    size: int
    sha256: str
    event_id: str | None
    event_source: str | None
    event_type: str | None
    owner: str | None
    task_id: UUID | None


class LetterPage(BaseModel):
    """A page of letters, oldest first."""

    items: list[LetterSummary]
    next_cursor: int | None


class Letter(LetterSummary):
    """One letter; `body` (base64) and `headers` only of what is no event."""

    body: str | None
    headers: dict[str, str] | None


class Replayed(BaseModel):
    """The event is on the bus again; `task` says whether its task goes on (`applied`, `refused:<code>`)."""

    number: int
    task_id: UUID | None
    task: str | None
