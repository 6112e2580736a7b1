"""Request headers that change an answer: Prefer: wait (RFC 7240), Accept (RFC 9110) and Idempotency-Key."""

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Header
from starlette.requests import Request

from events.ids import derived_id
from gateway.auth.bearer import Principal
from gateway.errors import Fault, InvalidBodyError

MAX_WAIT = 60

IdempotencyKey = Annotated[
    str | None,
    Header(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$", description="A repeat gets the first answer"),
]
"""For the document of a route: `read_key` reads it from the request."""
Prefer = Annotated[
    str | None, Header(description="`wait=N`: answer 200 if it has come within N (at most 60) seconds (RFC 7240)")
]
"""Likewise, for `read_wait`."""

_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?(\d{1,18})\"?\s*(?=$|[,;])", re.IGNORECASE)
_STREAM = re.compile(r"(?:^|,)\s*text/event-stream\s*(;[^,]*)?(?=$|,)", re.IGNORECASE)
_NEVER = re.compile(r";\s*q\s*=\s*0(?:\.0{0,3})?\s*(?=$|;)", re.IGNORECASE)
_KEY = re.compile(r"[\x21-\x7e]{1,255}\Z")


@dataclass(frozen=True, slots=True)
class Key:
    """A client's Idempotency-Key: the ids that follow from it, and the fingerprint of the body it came with.

    `of_many`: several events follow from the request, and each must say which request that was.
    """

    value: str
    subject_id: UUID
    event_id: UUID
    body_sha256: str
    of_many: bool = False

    def for_one_of_many(self, name: str) -> "Key":
        """The key of one thing among those that a request is about."""
        subject = derived_id(self.subject_id, name)
        return Key(self.value, subject, derived_id(subject, "event"), self.body_sha256, of_many=True)


def read_wait(request: Request) -> int | None:
    """The seconds a client wants to wait, at most 60; None if it does not or says it wrongly."""
    found = _WAIT.search(",".join(request.headers.getlist("prefer")))  # several headers are one (RFC 7240, 2)
    return min(int(found[1]), MAX_WAIT) if found else None


def wants_stream(request: Request) -> bool:
    """Whether a client names server-sent events among what it accepts, and not to say that it does not (`q=0`)."""
    found = _STREAM.search(",".join(request.headers.getlist("accept")))
    return found is not None and not _NEVER.search(found[1] or "")


def read_key(request: Request, principal: Principal, template: str, body: bytes) -> Key | None:
    """The key of a request, scoped to its owner and route. Raises InvalidBodyError for one that is not usable."""
    value = request.headers.get("idempotency-key")
    if value is None:
        return None
    if not _KEY.match(value):
        fault = Fault(field="Idempotency-Key", message="must be 1 to 255 visible ASCII characters")
        raise InvalidBodyError([fault])
    scope = json.dumps([principal.tenant, principal.owner, request.method, template, value])
    subject_id = derived_id(scope)
    return Key(value, subject_id, derived_id(subject_id, "event"), hashlib.sha256(body).hexdigest())
