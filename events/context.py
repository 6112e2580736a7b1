"""Context events: a named bag of JSON that the agents and people of one owner share, with a version and a history."""

import re
from datetime import datetime
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from events.base import EventData, JsonObject
from events.ids import Name

ContextScope = Literal["session", "agent", "global", "temporary"]
ContextAction = Literal["create", "change", "merge", "share", "promote", "delete", "expire"]
MergeStrategy = Literal["last_write_wins", "deep_merge", "prefer_source", "prefer_target", "manual"]

HOUR = 3_600
TTL: dict[ContextScope, int | None] = {"temporary": HOUR, "session": 24 * HOUR, "agent": 7 * 24 * HOUR, "global": None}
"""Seconds that a context is kept after its last change, by its scope; None: until it is deleted."""
MAX_SOURCES = 10
"""Contexts that are merged into another one at a time."""
MAX_NAMED = 100
"""Places that a change names; it may have concerned more."""


_REFERENCE = re.compile(r"context:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(\?write)?\Z")


def referred_context(ref: str) -> UUID | None:
    """The context that one of a task's references names, written `context:ID`; None if it names none."""
    named = _REFERENCE.match(ref)
    return UUID(named[1]) if named else None


def writable_context(ref: str) -> UUID | None:
    """The context that it also lets the task's runs change, written `context:ID?write`; None if it lets them none."""
    named = _REFERENCE.match(ref)
    return UUID(named[1]) if named and named[2] else None


class ContextOp(BaseModel):
    """One step of a change: the value at a place of dot-separated keys set, which may be null, or taken away."""

    model_config = ConfigDict(frozen=True)

    op: Literal["set", "delete"]
    path: str
    value: JsonValue = None


class ContextEvent(EventData, aggregate="context"):
    """Any event about one context."""

    context_id: UUID

    @property
    def subject_id(self) -> str:
        """The context's id."""
        return str(self.context_id)


class ContextChange(ContextEvent, name="change"):
    """Someone wants a context made, changed, joined by `sources`, copied into a session, widened or deleted.

    `share` makes a new context of its one source; `expire` is the janitor's. `expected_version`: only if it has that.
    `execution_id`: it is said by that run of the envelope's task.
    """

    action: ContextAction
    by: str
    scope: ContextScope | None = None
    session_id: Name | None = None
    agent_id: Name | None = None
    data: JsonObject | None = None
    ttl_seconds: int | None = None
    ops: tuple[ContextOp, ...] = ()
    sources: tuple[UUID, ...] = Field(default=(), max_length=MAX_SOURCES)
    strategy: MergeStrategy | None = None
    expected_version: int | None = None
    execution_id: UUID | None = None
    body_sha256: str | None = None


class ContextChanged(ContextEvent, name="changed"):
    """A context has this version now: `keys` are the places that changed, `conflicts` those that sources disputed."""

    is_state: ClassVar[bool] = True

    action: ContextAction
    scope: ContextScope
    session_id: Name | None = None
    agent_id: Name | None = None
    version: int
    keys: tuple[str, ...] = ()
    changes: int
    conflicts: tuple[str, ...] = ()
    sources: tuple[UUID, ...] = ()
    by: str
    expires_at: datetime | None = None
