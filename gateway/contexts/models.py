"""The shapes of the answers about contexts, for the OpenAPI document."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, JsonValue

from events.base import JsonObject
from events.context import ContextAction, ContextScope


class ContextSummary(BaseModel):
    """A context without its data; `expires_at` moves with every change."""

    id: UUID
    scope: ContextScope
    session_id: str | None
    agent_id: str | None
    version: int
    size_bytes: int
    key_count: int
    ttl_seconds: int | None
    shared_from: UUID | None
    created_by: str
    created_at: datetime
    updated_at: datetime
    updated_by: str
    expires_at: datetime | None


class Context(ContextSummary):
    """A context."""

    data: JsonObject


class MergedContext(Context):
    """The target after a merge; `conflicts` are the places that were disputed and decided by the strategy."""

    conflicts: list[str]


class ContextPage(BaseModel):
    """A page of contexts, newest first."""

    items: list[ContextSummary]
    next_cursor: str | None


class ContextKept(BaseModel):
    """202: the command is in the log; the database will follow."""

    id: UUID
    message: str


class ContextValue(BaseModel):
    """What is at one place."""

    path: str
    value: JsonValue
    version: int


class SessionContexts(BaseModel):
    """A session's contexts in figures; `expires_at` is when the first of them is past its time."""

    session_id: str
    contexts: int
    key_count: int
    size_bytes: int
    updated_at: datetime | None
    expires_at: datetime | None


class Difference(BaseModel):
    """Two values of one place."""

    one: JsonValue
    other: JsonValue


class ContextDiff(BaseModel):
    """How another context differs from one: `added` it has alone, `removed` it lacks.

    `conflicts` are the places where both have a value, and not the same.
    """

    one: UUID
    one_version: int
    other: UUID
    other_version: int
    added: JsonObject
    removed: JsonObject
    changed: dict[str, Difference]
    conflicts: list[str]


class ContextChangeEntry(BaseModel):
    """One change; `keys` are the first hundred of the places that changed, `changes` is how many did."""

    version: int
    action: ContextAction
    changed_by: str
    changed_at: datetime
    keys: list[str]
    changes: int
    conflicts: list[str]
    sources: list[UUID]
    event_id: str


class ContextHistory(BaseModel):
    """The last hundred changes, newest first."""

    items: list[ContextChangeEntry]
    next_cursor: int | None
