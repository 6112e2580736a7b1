"""A dead letter: what a consumer gave up on, why, and where it is in the log.

A letter describes an event (place, digest, reason) and holds no text of it: its bytes are in `event_log`. Only what
no reader can decode is kept in the letter itself.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from hashlib import sha256
from itertools import islice
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from events.base import Event, EventData
from events.codec import CONTENT_TYPE
from events.cursor import Cursor

_BODY_KEPT = 65_536
_VALUE_KEPT = 1_024
_HEADERS_KEPT, _NAME_KEPT = 64, 128
_UNKNOWN = "unknown"
_TOKEN = re.compile(r"[\w-]{1,64}", re.ASCII)
"""What a letter's subject is made of: the server takes nearly anything for a subject, and a client does not."""


class DeadLetter(BaseModel):
    """One event that one consumer will not be given again, unless somebody replays it.

    `cursor` is its place in the log, `subject` the one it was published on, `deliveries` how often it was tried.
    `event_*`, `owner` and `task_id` are absent for bytes that are no event; then `body` has the first 64 KiB of them,
    in base64, and `headers` what CloudEvents in binary mode says beside them, 64 at most.
    """

    model_config = ConfigDict(frozen=True)

    consumer: str
    reason: str
    deliveries: int
    cursor: str
    subject: str
    tenant: str
    size: int
    sha256: str
    event_id: str | None = None
    event_source: str | None = None
    event_type: str | None = None
    owner: str | None = None
    task_id: UUID | None = None
    body: str | None = None
    headers: dict[str, str] | None = None

    @property
    def identity(self) -> str:
        """The same for every letter about this event in this consumer."""
        return f"dlq-{self.consumer}-{self.cursor}"

    @property
    def letter_subject(self) -> str:
        """`dlq.<consumer>.<aggregate>.<name>`."""
        about = (token if _TOKEN.fullmatch(token) else _UNKNOWN for token in _tokens(self.subject)[2:4])
        return ".".join(("dlq", self.consumer, *about))

    @property
    def undecoded(self) -> bytes | None:
        """The bytes that are no event, if they were kept whole."""
        if self.body is None or self.size > _BODY_KEPT:
            return None
        return b64decode(self.body)


def describe(
    *,
    consumer: str,
    reason: str,
    deliveries: int,
    cursor: Cursor,
    subject: str,
    body: bytes,
    headers: Mapping[str, str] | None,
    event: Event[EventData] | None,
) -> DeadLetter:
    """The letter about a message that holds `event`, or no event at all."""
    letter = DeadLetter(
        consumer=consumer,
        reason=reason,
        deliveries=deliveries,
        cursor=str(cursor),
        subject=subject,
        tenant=_tokens(subject)[1],
        size=len(body),
        sha256=sha256(body).hexdigest(),
    )
    if event is None:
        said = {name: value[:_VALUE_KEPT] for name, value in (headers or {}).items() if _says_something(name)}
        kept = dict(islice(said.items(), _HEADERS_KEPT))
        return letter.model_copy(update={"body": b64encode(body[:_BODY_KEPT]).decode(), "headers": kept})
    known = {
        "event_id": event.id,
        "event_source": event.source,
        "event_type": event.type,
        "tenant": event.tenantid,
        "owner": event.ownerid,
        "task_id": event.taskid,
    }
    return letter.model_copy(update=known)


def _says_something(header: str) -> bool:
    return header.lower() == CONTENT_TYPE or (header.lower().startswith("ce-") and len(header) <= _NAME_KEPT)


def _tokens(subject: str) -> list[str]:
    return [*subject.split("."), *[_UNKNOWN] * 4]
