"""An agent as the keeper folds it, and its row."""

from datetime import datetime
from typing import NamedTuple

import orjson

from consumers.keeper.rows import json_text, text
from consumers.keeper.world import State
from events.agent import AgentStatus, Breaker, LoadLevel, Tier
from events.base import JsonObject
from storage.unnest import Row


class AgentState(NamedTuple):
    """One agent between two events; one field a column of `storage.models.agent`, in its order."""

    id: str
    tenant: str
    agent_id: str
    owner: str
    name: str
    agent_type: str
    capabilities: dict[str, float]
    technologies: tuple[str, ...]
    capacity: int
    outside: bool
    token_hash: str | None
    agent_version: str | None
    metadata: JsonObject
    status: AgentStatus
    draining: bool
    reason: str | None
    version: int
    registered_at: datetime
    heartbeat_at: datetime
    reported: JsonObject | None
    updated_at: datetime
    tier: Tier = "competent"
    quality: float = 0.75
    load_level: LoadLevel = "idle"
    breaker: Breaker = "closed"
    available: bool = True
    in_flight: int = 0
    endpoint_url: str | None = None
    notes: tuple[JsonObject, ...] | None = None
    token_since: datetime | None = None


def state_id(tenant: str, agent_id: str) -> str:
    """The id of an agent's row."""
    return f"{tenant}/{agent_id}"


_JSON = ("capabilities", "technologies", "metadata", "reported", "notes")
_TUPLES = ("technologies", "notes")


def state_of(values: dict[str, object]) -> AgentState:
    """The state of a row; takes the dictionary over."""
    for name in _JSON:
        value = values[name]
        values[name] = None if value is None else orjson.loads(str(value))
    for name in _TUPLES:
        if (listed := values[name]) is not None:
            values[name] = tuple(listed)  # type: ignore[arg-type]  # a JSON array
    return AgentState(**values)  # type: ignore[arg-type]  # columns and fields are compared by a test


def row_of(state: State) -> tuple[str, Row]:
    """The whole row."""
    if not isinstance(state, AgentState):
        raise TypeError
    values = state._asdict()
    for name in ("name", "agent_type", "agent_version", "reason", "endpoint_url"):
        values[name] = text(values[name])
    for name in _JSON:
        listed = name in _TUPLES and values[name] is not None
        values[name] = json_text(list(values[name]) if listed else values[name])
    return "agents", tuple(values.values())
