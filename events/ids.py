"""Ids: drawn once at the edge, derived everywhere else so that a repeat is harmless (DESIGN rule 6)."""

import re
from typing import Annotated
from uuid import UUID

import uuid_utils
from pydantic import StringConstraints
from uuid_utils.compat import uuid7

from events.errors import InvalidIdError

NAMESPACE = UUID("6d0f2c0e-5f0f-5f6a-9a55-1f6c9a3a7b11")

_NAMESPACE = uuid_utils.UUID(str(NAMESPACE))

# Names that end up in a subject, a key or a room: nothing in them can be a wildcard or a path.
NAME_PATTERN = r"^[A-Za-z0-9_-]{1,64}$"
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]

_name = re.compile(NAME_PATTERN.replace("$", r"\Z"))


def new_id() -> UUID:
    """A fresh time-ordered id (UUIDv7, RFC 9562)."""
    return uuid7()


def derived_id(cause: str | UUID, *parts: str | int) -> UUID:
    """The same id for the same cause and parts, always (UUIDv5)."""
    return UUID(derived_text(cause, *parts))


def derived_text(cause: str | UUID, *parts: str | int) -> str:
    """`derived_id` as text, which is what an event's id is."""
    return str(uuid_utils.uuid5(_NAMESPACE, "\x1f".join([str(cause), *map(str, parts)])))


def run_id(task_id: UUID, attempt: int) -> UUID:
    """The id of one attempt at a task; a re-send does not change it."""
    return derived_id(task_id, "run", attempt)


def checked_name(value: str, what: str) -> str:
    """Return `value` if it is a valid tenant, owner, session or agent id, else raise InvalidIdError."""
    if not _name.match(value):
        raise InvalidIdError(f"{what} must match {NAME_PATTERN}")
    return value
