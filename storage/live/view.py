"""An agent as it is at this moment, and how it comes out of Redis."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from events.agent import EVERYONE, AgentStatus, Tier
from events.ids import Name

WINDOW = 50
PRIOR_RUNS, PRIOR_QUALITY = 4, 0.75
TIERS: tuple[tuple[Tier, float], ...] = (
    ("elite", 0.95),
    ("advanced", 0.85),
    ("competent", 0.70),
    ("trainee", 0.50),
    ("degraded", 0.0),
)
"""The least quality of each; who waits for a tier is shown to nobody below it."""
BREAK_SECONDS = 60.0
"""How long an open breaker lets nothing through."""


class AgentSpec(BaseModel):
    """What an agent said of itself when it registered, as far as routing needs it."""

    model_config = ConfigDict(frozen=True)

    owner: str
    name: str
    agent_type: str
    capabilities: dict[Name, float]
    technologies: frozenset[str]
    outside: bool
    pushed: bool = False


@dataclass(slots=True)
class LiveAgent:
    """One agent. Times are milliseconds of the Redis server's clock; `window` holds the last 50 outcomes, the newest
    last: `s` succeeded, `p` partial, `f` failed. `said` is the transition that was announced last.
    """

    key: str
    spec: AgentSpec
    status: AgentStatus
    capacity: int
    in_flight: int
    heard_until: int
    window: str
    opened_at: int
    probing: bool
    assigned_at: int
    said: str
    said_count: int

    @property
    def tenant(self) -> str:
        """Whose tasks it takes; EVERYONE for an agent of ours."""
        return self.key.partition("/")[0]

    @property
    def agent_id(self) -> str:
        """Its id within the tenant."""
        return self.key.partition("/")[2]

    def become(self, other: "LiveAgent") -> None:
        """Take over all that a newer snapshot says."""
        for name in self.__slots__:
            setattr(self, name, getattr(other, name))

    def serves(self, tenant: str) -> bool:
        """Whether tasks of this tenant may go to it."""
        return self.tenant in (tenant, EVERYONE)

    def half_open(self, now: int) -> bool:
        """Whether its open breaker lets a probe through."""
        return self.opened_at > 0 and now >= self.opened_at + BREAK_SECONDS * 1000


def key_of(tenant: str, agent_id: str) -> str:
    """The name under which an agent's state is kept."""
    return f"{tenant}/{agent_id}"


def member_of(task_id: object, attempt: int) -> str:
    """The name of one attempt's slot."""
    return f"{task_id}:{attempt}"


Snapshot = tuple[str, AgentStatus, int, int, int, str, int, int, int, str, int, str]
"""An agent as apply.lua tells it; the last is its description, empty if the reader has it already."""


def merged(view: Mapping[str, LiveAgent], row: Snapshot, now: int) -> LiveAgent:
    """The agent after a snapshot."""
    key, status, capacity, in_flight, heard, window, opened_at, probing, assigned_at, said, count, described = row
    known = view.get(key)
    if not described and known is None:
        raise AssertionError("the first snapshot of an agent describes it")
    return LiveAgent(
        key=key,
        spec=AgentSpec.model_validate_json(described) if described or known is None else known.spec,
        status=status,
        capacity=capacity,
        in_flight=in_flight,
        heard_until=now + heard if heard > 0 else 0,
        window=window,
        opened_at=opened_at,
        probing=bool(probing),
        assigned_at=assigned_at,
        said=said,
        said_count=count,
    )
