"""Each change of an agent's tier, load, breaker or availability is told once, as `agent.changed`.

It is told before it is noted as told: after a crash in between it is told again, under the same id. So it is when the
event that led to it is delivered again: then what was told may not have reached the log. Who forgot what was
told, with all live state, begins again with an agent that has just come, under ids of its own.
"""

from collections import OrderedDict
from collections.abc import Iterable

from consumers.router.scoring import breaker_of, is_available, load_level, quality, tier_of
from events.agent import AgentChanged
from events.base import Event, EventData
from events.ids import derived_id
from storage.live.heard import said
from storage.live.store import Op
from storage.live.view import LiveAgent

_NAMES = ("tier", "load_level", "breaker", "available")
_BORN = "competent|idle|closed|yes"
_REMEMBERED = 1_000
"""Causes of what was told: more than can be in hand unacknowledged."""


class Transitions:
    """What was told and has yet to be noted."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._told: dict[str, tuple[int, str]] = {}
        self._lately: OrderedDict[str, list[Event[EventData]]] = OrderedDict()

    def take(self) -> list[Op]:
        """The notes for what was told; give them to the next call."""
        told, self._told = self._told, {}
        return [said(key, count, word) for key, (count, word) in told.items()]

    def again(self, cause: Event[EventData]) -> list[Event[EventData]]:
        """What was told because of this event when it was here before."""
        return list(self._lately.get(cause.id, ()))

    def of(self, agents: Iterable[LiveAgent], now: int, cause: Event[EventData]) -> list[Event[EventData]]:
        """The events for those that changed."""
        found: dict[str, Event[EventData]] = {}
        for agent in agents:
            word = _word(agent, now)
            before = agent.said or _BORN
            if word != before and agent.status != "gone":
                count = agent.said_count + 1
                found[agent.key] = self._event(agent, before, word, count, cause)
                self._told[agent.key] = (count, word)
                agent.said, agent.said_count = word, count
        if found:
            self._lately.setdefault(cause.id, []).extend(found.values())
            if len(self._lately) > _REMEMBERED:
                self._lately.popitem(last=False)
        return list(found.values())

    def _event(self, agent: LiveAgent, before: str, word: str, count: int, cause: Event[EventData]) -> Event[EventData]:
        changed = AgentChanged(
            agent_id=agent.agent_id,
            **dict(zip(_NAMES, word.split("|"), strict=True)),
            in_flight=agent.in_flight,
            capacity=agent.capacity,
            quality=round(quality(agent.window), 4),
            why=", ".join(_differences(before, word)),
        )
        return Event.first(
            changed,
            source=self._source,
            tenant=agent.tenant,
            owner=agent.spec.owner,
            event_id=derived_id(agent.key, self._source, "changed", count, word),
            traceparent=cause.traceparent,
        )


def _word(agent: LiveAgent, now: int) -> str:
    level = load_level(agent.in_flight, agent.capacity)
    available = "yes" if is_available(agent, now) else "no"
    return f"{tier_of(quality(agent.window))}|{level}|{breaker_of(agent, now)}|{available}"


def _differences(before: str, after: str) -> list[str]:
    pairs = zip(_NAMES, before.split("|"), after.split("|"), strict=True)
    return [f"{name} {old} -> {new}" for name, old, new in pairs if old != new]
