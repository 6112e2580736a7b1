"""What the router hears, as the operations of `apply.lua`. Each is harmless to repeat."""

from collections.abc import Sequence
from typing import Literal

from events.agent import AgentEntered
from storage.live.store import BEAT_SECONDS, Op
from storage.live.view import AgentSpec, key_of

Outcome = Literal["s", "p", "f", ""]
"""How a run ended, for the agent's record: succeeded, partial, failed; "" says nothing about the agent."""


def state(tenant: str, owner: str, entered: AgentEntered, cause: str, *, heard: float | None = None) -> Op:
    """An agent entered a state; older news than what is known changes nothing. `heard`: for how many seconds more it
    counts as heard of (90 for an active one unless told).
    """
    spec = AgentSpec(
        owner=owner,
        name=entered.name,
        agent_type=entered.agent_type,
        capabilities=entered.capabilities,
        technologies=frozenset(entered.technologies),
        outside=entered.outside,
        pushed=bool(entered.pushed),
    )
    if heard is None:
        heard = BEAT_SECONDS if entered.status == "active" else 0.0
    return [
        "state",
        key_of(tenant, entered.agent_id),
        entered.version,
        entered.status,
        int(heard * 1000),
        entered.capacity,
        _listed(entered.capabilities),
        _listed(entered.technologies),
        spec.model_dump_json(),
        cause,
    ]


def beat(key: str, cause: str) -> Op:
    """An agent lives."""
    return ["beat", key, cause]


def wake(key: str, cause: str) -> Op:
    """Look whether anything waits for this agent."""
    return ["wake", key, cause]


def again(cause: str) -> Op:
    """What was given out because of this event before is given out once more: whoever had it may not have said so."""
    return ["again", cause]


def hold(member: str, key: str) -> Op:
    """An attempt runs at this agent; only while building."""
    return ["hold", member, key]


def renew(member: str) -> Op:
    """A run lives: its slot is its for another 90 s, unless it was freed meanwhile."""
    return ["renew", member]


def release(member: str, outcome: Outcome, cause: str) -> Op:
    """An attempt is over: it needs no slot any more and gets none, should its task.ready come only now."""
    return ["release", member, outcome, cause]


def withdraw(member: str, version: int, cause: str) -> Op:
    """A task that was ready waits once more since this version of it: what it asked for as an older one is void."""
    return ["withdraw", member, version, cause]


def outcomes(key: str, ended: Sequence[tuple[Outcome, int]]) -> Op:
    """How an agent's last runs ended and when (milliseconds), the oldest first; only while building."""
    return ["outcomes", key, ended]


def said(key: str, count: int, word: str) -> Op:
    """The transition number `count` was announced."""
    return ["said", key, count, word]


def _listed(names: object) -> str:
    return "".join(f",{name}" for name in sorted(names)) + ","  # type: ignore[call-overload]  # any iterable of names
