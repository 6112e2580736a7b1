"""Who may take a task, and who should (requirements.md O.5): hard filters, then one score that is never clamped.

Pure. Times are milliseconds of the live state's clock.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from events.agent import Breaker, LoadLevel, Tier
from events.route import Candidate
from events.task import Kind, Routing
from storage.live.view import PRIOR_QUALITY, PRIOR_RUNS, TIERS, WINDOW, LiveAgent

WEIGHTS: Mapping[str, float] = {
    "quality": 0.35,
    "capability": 0.25,
    "idle": 0.20,
    "technology": 0.10,
    "preference": 0.10,
}
_LOADS: tuple[tuple[LoadLevel, float], ...] = (("idle", 0.2), ("optimal", 0.7), ("high", 0.9), ("critical", 1.0))
IMPLIED: Mapping[Kind, tuple[str, ...]] = {
    "goal": ("answer",),
    "subtask": ("answer",),
    "turn": ("chat",),
    "refinement": ("spec",),
}
"""What a task needs that names no capability."""


class Needs(NamedTuple):
    """What one task asks of an agent; equal needs wait in one queue."""

    tenant: str
    capabilities: tuple[str, ...]
    routing: Routing

    @classmethod
    def of(cls, tenant: str, kind: Kind, capabilities: Iterable[str], routing: Routing | None) -> "Needs":
        """The needs of a task of this kind; without any capability, what the kind implies."""
        return cls(tenant, tuple(sorted(set(capabilities))) or IMPLIED[kind], routing or _NO_ROUTING)

    @property
    def queue(self) -> str:
        """The name of the queue: everything that decides who may take the task, and nothing else."""
        avoided = ",".join(sorted(set(self.routing.avoid_technologies)))
        return f"{','.join(self.capabilities)}|{avoided}|{self.routing.min_tier or ''}"


_NO_ROUTING = Routing()


class Ranking(NamedTuple):
    """`order`: the agents that could ever take it, those with room first, the best before the others. `candidates`:
    everyone that was looked at, with the parts of the score or what excluded it.
    """

    order: list[LiveAgent]
    candidates: list[Candidate]
    room: int


@lru_cache(maxsize=8_192)
def quality(window: str) -> float:
    """The share of runs that went well among the last 50, a partial one half; a new agent begins at 0.75."""
    counted = window[-WINDOW:]
    went_well = counted.count("s") + 0.5 * counted.count("p")
    return (went_well + PRIOR_RUNS * PRIOR_QUALITY) / (len(counted) + PRIOR_RUNS)


def tier_of(share: float) -> Tier:
    """The name of a quality."""
    return next(tier for tier, least in TIERS if share >= least)


def load_level(in_flight: int, capacity: int) -> LoadLevel:
    """The name of a load."""
    used = in_flight / capacity
    return next((level for level, most in _LOADS if used <= most), "overloaded")


def breaker_of(agent: LiveAgent, now: int) -> Breaker:
    """What the agent's breaker does with its next task."""
    if agent.opened_at == 0:
        return "closed"
    return "half_open" if agent.half_open(now) else "open"


def is_available(agent: LiveAgent, now: int) -> bool:
    """Whether it takes work at all, however busy it is."""
    return agent.status == "active" and agent.heard_until > now and breaker_of(agent, now) != "open"


def never(agent: LiveAgent, needs: Needs) -> str | None:
    """Why this agent can never take the task as it is; None if it can."""
    missing = [name for name in needs.capabilities if name not in agent.spec.capabilities]
    if missing:
        return f"lacks {', '.join(missing)}"
    avoided = agent.spec.technologies.intersection(needs.routing.avoid_technologies)
    if avoided:
        return f"uses {', '.join(sorted(avoided))}"
    least = needs.routing.min_tier
    if least is not None and quality(agent.window) < dict(TIERS)[least]:
        return f"below {least}"
    return None


def not_now(agent: LiveAgent, now: int) -> str | None:
    """Why this agent cannot take a task at this moment; None if it can."""
    if agent.status != "active":
        return agent.status
    if agent.heard_until <= now:
        return "offline"
    if agent.opened_at:
        if not agent.half_open(now):
            return "breaker open"
        if agent.probing:
            return "breaker half open, probe under way"
    if agent.in_flight + 1 > agent.capacity:
        return f"busy {agent.in_flight}/{agent.capacity}"
    return None


def parts_of(agent: LiveAgent, needs: Needs) -> dict[str, float]:
    """Each part of the score, from 0 to 1."""
    routing = needs.routing
    weights = agent.spec.capabilities
    wanted = routing.technologies
    prefers = bool(routing.preferred_agent_ids or routing.preferred_agent_type)
    preferred = agent.agent_id in routing.preferred_agent_ids or agent.spec.agent_type == routing.preferred_agent_type
    return {
        "quality": quality(agent.window),
        "capability": sum(weights[name] for name in needs.capabilities) / len(needs.capabilities),
        "idle": 1 - agent.in_flight / agent.capacity,
        "technology": len(agent.spec.technologies.intersection(wanted)) / len(wanted) if wanted else 1.0,
        "preference": float(preferred) if prefers else 1.0,
    }


def score_of(parts: Mapping[str, float]) -> float:
    """The one score."""
    return sum(weight * parts[name] for name, weight in WEIGHTS.items())


class Lasting(NamedTuple):
    """What of an agent's score does not change from one moment to the next; `parts` in the order of `_LASTING`."""

    agent_id: str
    score: float
    parts: tuple[float, ...]


class Able(NamedTuple):
    """An agent that could take the task."""

    agent: LiveAgent
    lasting: Lasting


class Entrants(NamedTuple):
    """Everyone that serves the tenant, judged as far as that lasts: until an agent comes, goes or changes."""

    able: list[Able]
    unable: list[Candidate]


def entrants(agents: Iterable[LiveAgent], needs: Needs) -> Entrants:
    """Who could take the task at all, and why the others cannot."""
    found = Entrants([], [])
    for agent in agents:
        excluded = never(agent, needs)
        if excluded is not None:
            found.unable.append(candidate(agent.agent_id, None, {}, excluded))
            continue
        parts = parts_of(agent, needs)
        lasting = sum(WEIGHTS[name] * parts[name] for name in _LASTING)
        shown = tuple(round(parts[name], 4) for name in _LASTING)
        found.able.append(Able(agent, Lasting(agent.agent_id, lasting, shown)))
    return found


def rank(agents: Iterable[LiveAgent], needs: Needs, now: int) -> Ranking:
    """Judge every agent that serves the tenant. Ties go to the less busy one, then to the one that waited longest."""
    return ranked(entrants(agents, needs), now)


def ranked(entered: Entrants, now: int) -> Ranking:
    """The same for who was judged as far as it lasts."""
    free: list[_Place] = []
    full: list[_Place] = []
    for agent, lasting in entered.able:
        excluded = not_now(agent, now)
        record = quality(agent.window)
        score, one = _judged(lasting, record, agent.in_flight, agent.capacity, excluded)
        # No two keys are equal, so no comparison goes further.
        place = (-score, agent.in_flight, agent.assigned_at, agent.key, agent, one)
        (free if excluded is None else full).append(place)
    free.sort()
    full.sort()
    places = [*free, *full]
    return Ranking([place[4] for place in places], [*(place[5] for place in places), *entered.unable], len(free))


@lru_cache(maxsize=8_192)
def _judged(
    lasting: Lasting, record: float, in_flight: int, capacity: int, excluded: str | None
) -> tuple[float, Candidate]:
    """The score, and the agent as a decision names it; remembered, as an agent is in the same state again and again."""
    idle = 1 - in_flight / capacity
    score = lasting.score + _QUALITY * record + _IDLE * idle
    parts = dict(zip(_LASTING, lasting.parts, strict=True))
    shown = {"quality": round(record, 4), "idle": round(idle, 4), **parts}
    return score, candidate(lasting.agent_id, round(score, 4), shown, excluded)


def candidate(agent_id: str, score: float | None, parts: dict[str, float], excluded: str | None) -> Candidate:
    """A Candidate of values of ours, without pydantic's checks: a decision has one for each agent."""
    made = Candidate.__new__(Candidate)
    values = {"agent_id": agent_id, "score": score, "parts": parts, "excluded": excluded}
    object.__setattr__(made, "__dict__", values)
    object.__setattr__(made, "__pydantic_fields_set__", _FIELDS)
    object.__setattr__(made, "__pydantic_extra__", None)
    object.__setattr__(made, "__pydantic_private__", None)
    return made


_Place = tuple[float, int, int, str, LiveAgent, Candidate]
_FIELDS = set(Candidate.model_fields)
_LASTING = ("capability", "technology", "preference")
_QUALITY, _IDLE = WEIGHTS["quality"], WEIGHTS["idle"]
