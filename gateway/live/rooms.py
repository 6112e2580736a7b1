"""Rooms: the names subscribers use, the keys the hub indexes, and which events are shown in which of them.

An event says of itself whose it is (tenant and owner) and what it belongs to (task, session). The owner is part of
every key, so an event with a forged owner is shown to nobody but its forger.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

from events.agent import EVERYONE
from events.base import CATALOGUE
from events.task import STATE_EVENTS

Kind = Literal["task", "session", "agent", "tasks", "sessions", "agents", "proposals", "system"]
LISTS: tuple[Kind, ...] = ("tasks", "sessions", "agents", "proposals", "system")
"""Rooms without an id: the caller's own, with the scope tenant the tenant's."""

_BY_AGGREGATE: dict[str, tuple[Kind, ...]] = {
    "task": ("tasks",),
    "route": ("tasks", "agents"),
    "run": ("tasks",),
    "session": ("sessions",),
    "message": ("sessions",),
    "context": ("sessions",),
    "agent": ("agents",),
    "proposal": ("proposals",),
    "workflow": ("proposals",),
    "system": ("system",),
}
_TOO: dict[str, tuple[Kind, ...]] = {
    **{f"task.{status}": ("sessions",) for status in STATE_EVENTS},
    "task.assigned": ("sessions", "agents"),
    "run.started": ("agents",),
    "run.finished": ("agents",),
}


@dataclass(frozen=True, slots=True)
class Room:
    """Whose events: of one task, session or agent, or of a kind; of one owner, or of a whole tenant (owner None)."""

    kind: Kind
    tenant: str
    owner: str | None = None
    id: str | None = None
    guest: str | None = field(default=None, compare=False)
    """Who entered by a grant although the room is another's."""
    keys: tuple[str, ...] = field(init=False, compare=False)
    """What the hub indexes; an event of any of them is shown here."""

    def __post_init__(self) -> None:
        keys = [_key(self.kind, self.tenant, self.owner, self.id)]
        if self.kind in {"agent", "agents"} and self.tenant != EVERYONE:
            keys.append(_key(self.kind, EVERYONE, None, self.id))
        object.__setattr__(self, "keys", tuple(keys))

    @property
    def name(self) -> str:
        """As a client writes it."""
        return self.kind if self.id is None else f"{self.kind}:{self.id}"

    @property
    def also_tenant(self) -> str | None:
        """The tenant whose events everybody sees in such a room."""
        return EVERYONE if self.kind in {"agent", "agents"} else None

    def shows(self, keys: tuple[str, ...]) -> bool:
        """Whether an event with these keys belongs here."""
        return any(key in keys for key in self.keys)

    @property
    def has_deltas(self) -> bool:
        """Whether what agents are saying is shown here while they say it."""
        return self.kind in {"task", "session"}


@dataclass(frozen=True, slots=True)
class Ids:
    """What an event belongs to."""

    task: str | None = None
    session: str | None = None
    agent: str | None = None


def keys_of(event: str, tenant: str, owner: str, ids: Ids) -> tuple[str, ...]:
    """The rooms an event is shown in: what it belongs to, then the lists of its owner and of its tenant."""
    return (*belongings(tenant, owner, ids), *_listed(event, tenant, owner, ids))


def belongings(tenant: str, owner: str, ids: Ids) -> Iterator[str]:
    """The rooms of its task and of its session."""
    if ids.task is not None:
        yield _key("task", tenant, owner, ids.task)
    if ids.session is not None:
        yield _key("session", tenant, owner, ids.session)


def _listed(event: str, tenant: str, owner: str, ids: Ids) -> Iterator[str]:
    for kind in lists_of(event):
        if kind == "sessions" and ids.session is None:
            continue
        yield _key(kind, tenant, owner, None)
        yield _key(kind, tenant, None, None)
        if kind == "agents" and ids.agent is not None:
            yield _key("agent", tenant, owner, ids.agent)
            yield _key("agent", tenant, None, ids.agent)


def _key(kind: str, tenant: str, owner: str | None, what: str | None) -> str:
    """A text that no two rooms share: names hold no colon."""
    return f"{kind}:{tenant}:{owner or ''}:{what or ''}"


@cache
def lists_of(event: str) -> tuple[Kind, ...]:
    """The list rooms that an event (`task.running`) is shown in."""
    aggregate = event.partition(".")[0]
    return (*_BY_AGGREGATE.get(aggregate, ()), *_TOO.get(event, ()))


@cache
def types_of(kind: Kind) -> tuple[str, ...] | None:
    """The CloudEvents types that a room of this kind can show; None when its events are found by id."""
    lists: dict[Kind, Kind] = {"agent": "agents", **{name: name for name in LISTS}}
    if kind not in lists:
        return None
    return tuple(
        event_type
        for event_type, payload in CATALOGUE.items()
        if lists[kind] in lists_of(f"{payload.aggregate}.{payload.event_name}")
    )
