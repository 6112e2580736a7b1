"""Contexts as the keeper folds them, and their rows: immutable, one field a column of `storage.models.context`."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, cast
from uuid import UUID

from pydantic_core import from_json, to_json

from consumers.keeper.rows import json_text, text
from consumers.keeper.world import State
from events.base import JsonObject
from events.context import MAX_NAMED, ContextAction, ContextScope
from storage.unnest import Row

HISTORY = 100
"""Changes of a context that are kept."""


class ContextState(NamedTuple):
    """One context between two events; once it is not `open` any more, nothing brings it back."""

    id: UUID
    tenant: str
    owner: str
    scope: ContextScope
    session_id: str | None
    agent_id: str | None
    open: bool
    version: int
    data: JsonObject
    size: int
    keys: int
    ttl_seconds: int | None
    shared_from: UUID | None
    created_at: datetime
    updated_at: datetime
    updated_by: str
    expires_at: datetime | None


class ContextShelf(NamedTuple):
    """How many contexts an owner has."""

    id: str
    open: int


class Change(NamedTuple):
    """What one command makes of a context: all places that changed, and those that sources disagreed on."""

    action: ContextAction
    after: ContextState
    keys: tuple[str, ...]
    conflicts: tuple[str, ...] = ()
    sources: tuple[UUID, ...] = ()


def shelf_id(tenant: str, owner: str) -> str:
    """The id of an owner's shelf."""
    return f"{tenant}/{owner}"


def context_of(values: dict[str, object]) -> ContextState:
    """The state of a row; takes the dictionary over."""
    values["data"] = from_json(cast("str", values["data"]))
    return ContextState(**values)  # type: ignore[arg-type]  # the columns are the fields, a test compares them


def context_row(state: State) -> tuple[str, Row]:
    """The row that replaces the context's."""
    if not isinstance(state, ContextState):
        raise TypeError
    written = to_json(state.data).decode()  # exactly: what is read back must be what the fold goes on with
    kept = state._replace(data=cast("JsonObject", written), updated_by=text(state.updated_by) or "")
    return "contexts", tuple(kept)


def shelf_of(values: dict[str, object]) -> ContextShelf:
    """The state of a row."""
    return ContextShelf(**values)  # type: ignore[arg-type]  # as above


def shelf_row(state: State) -> tuple[str, Row]:
    """The row that replaces the shelf's."""
    if not isinstance(state, ContextShelf):
        raise TypeError
    return "context_shelves", tuple(state)


def change_row(change: Change, at: datetime, event_id: str) -> Row:
    """One entry of the history, in the place of the one a hundred versions before."""
    after = change.after
    return (
        after.id,
        after.version % HISTORY,
        after.version,
        change.action,
        text(after.updated_by),
        at,
        _places(change.keys),
        len(change.keys),
        _places(change.conflicts),
        json_text([str(source) for source in change.sources]),
        text(event_id),
    )


def _places(places: Sequence[str]) -> str | None:
    return json_text([*places[:MAX_NAMED]])
