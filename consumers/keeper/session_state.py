"""A session as the keeper folds it: immutable, one field a column of `storage.models.session`."""

from datetime import datetime
from typing import Literal, NamedTuple, cast
from uuid import UUID

from pydantic_core import from_json

from consumers.keeper.rows import json_text, text
from consumers.keeper.world import State
from events.base import JsonObject
from events.session import SessionKind
from storage.unnest import Row


class SessionState(NamedTuple):
    """One session between two events. `turns` have not ended, in order of arrival; the first one begins first."""

    id: str
    tenant: str
    owner: str
    kind: SessionKind
    status: Literal["open", "archived"]
    title: str | None
    session_type: str | None
    tags: tuple[str, ...]
    metadata: JsonObject
    agent_config: JsonObject | None
    max_duration_seconds: int | None
    parent_id: str | None
    task_id: UUID | None
    turns: tuple[UUID, ...]
    active_turn: UUID | None
    last_seq: int
    version: int
    created_at: datetime
    updated_at: datetime


def state_of(values: dict[str, object]) -> SessionState:
    """A SessionState from its row; takes the dictionary over."""
    for name in ("tags", "metadata", "agent_config", "turns"):
        values[name] = None if values[name] is None else from_json(cast("str", values[name]))
    values["tags"] = tuple(cast("list[str]", values["tags"]))
    values["turns"] = tuple(UUID(turn) for turn in cast("list[str]", values["turns"]))
    return SessionState(**values)  # type: ignore[arg-type]  # the columns are the fields, a test compares them


def row_of(state: State) -> tuple[str, Row]:
    """The row that replaces the session's."""
    if not isinstance(state, SessionState):
        raise TypeError
    kept = state._replace(
        title=text(state.title),
        session_type=text(state.session_type),
        tags=cast("tuple[str, ...]", json_text([*state.tags])),
        metadata=cast("JsonObject", json_text(state.metadata)),
        agent_config=cast("JsonObject | None", json_text(state.agent_config)),
        turns=cast("tuple[UUID, ...]", json_text([str(turn) for turn in state.turns])),
    )
    return "sessions", tuple(kept)
