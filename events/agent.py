"""Agent events: who can do work, how it fares, and what the router makes of it."""

from typing import ClassVar, Literal
from uuid import UUID

from pydantic import Field

from events.base import EventData, JsonObject
from events.errors import InvalidIdError
from events.ids import Name, checked_name

Tier = Literal["elite", "advanced", "competent", "trainee", "degraded"]
LoadLevel = Literal["idle", "optimal", "high", "critical", "overloaded"]
Breaker = Literal["closed", "open", "half_open"]
NOT_HEARD_OF = "not_heard_of"
"""Why an agent is offline, or gone, that fell silent."""
AgentStatus = Literal["active", "draining", "offline", "gone"]

EVERYONE = "_"
"""The tenant of the agents that run in processes of ours: they work for every tenant. No token names it, because every
tenant sees what is said of its agents."""
ENGINE_AGENT = "spec-engine"
"""The agent that runs refinements; its tasks are the consumer spec_engine's."""


def checked_tenant(value: str) -> str:
    """Return `value` if it is a name that a tenant may have, else raise InvalidIdError."""
    if value == EVERYONE:
        raise InvalidIdError(f"tenant must not be {EVERYONE}: that is the tenant of the agents of ours")
    return checked_name(value, "tenant")


def is_outside(agent_id: str) -> bool:
    """Whether an agent of this id is one of outside: those have upper-case ids (`AGENT-…`), ours lower-case ones."""
    return agent_id.isupper()


class AgentEvent(EventData, aggregate="agent"):
    """Any event about one agent."""

    agent_id: Name

    @property
    def subject_id(self) -> str:
        """The agent's id."""
        return self.agent_id


class AgentRegistered(AgentEvent, name="registered"):
    """An agent offers its work. `capabilities` maps each to its weight: 1 primary, 0.7 secondary.

    `outside` ones pull their work from `work.<tenant>.<agent>`, or are called at their `endpoint_url`; the others run
    in a consumer of ours.
    """

    name: str = Field(min_length=1, max_length=100)
    agent_type: str = "implementer"
    capabilities: dict[Name, float] = Field(min_length=1)
    technologies: tuple[str, ...] = ()
    capacity: int = Field(default=5, ge=1, le=10_000)
    outside: bool = True
    token_hash: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    endpoint_url: str | None = Field(default=None, max_length=2_048)
    version: str | None = None
    metadata: JsonObject = Field(default_factory=dict)


class AgentHeartbeat(AgentEvent, name="heartbeat"):
    """An agent lives, and says how busy it believes itself to be."""

    status: Literal["healthy", "degraded", "busy", "offline"] = "healthy"
    in_flight: int | None = Field(default=None, ge=0)
    load: float | None = Field(default=None, ge=0)
    metrics: JsonObject = Field(default_factory=dict)


class AgentDeregistered(AgentEvent, name="deregistered"):
    """An agent leaves: at once, or (`drain`) when its last run has ended."""

    drain: bool = False
    by: str
    reason: str | None = None


class AgentNoted(AgentEvent, name="noted"):
    """Somebody says how an agent works: shown beside its record, and no part of it."""

    by: str
    quality: float | None = Field(default=None, ge=0, le=1)
    note: str | None = None
    task_id: UUID | None = None


class AgentEntered(AgentEvent):
    """An agent entered a state, and the database says so too. It carries what the router must know of it.

    `pushed`: it is called with its work.
    """

    status: ClassVar[AgentStatus]
    is_state: ClassVar[bool] = True

    from_status: AgentStatus | None = None
    version: int
    name: str
    agent_type: str
    capabilities: dict[Name, float]
    technologies: tuple[str, ...] = ()
    capacity: int
    outside: bool
    reason: str | None = None
    pushed: bool | None = None


class AgentActive(AgentEntered, name="active"):
    """It takes work."""

    status = "active"


class AgentDraining(AgentEntered, name="draining"):
    """It ends what it has and takes nothing new."""

    status = "draining"


class AgentOffline(AgentEntered, name="offline"):
    """Nothing was heard of it for too long, or it said so itself; its runs go to others."""

    status = "offline"


class AgentGone(AgentEntered, name="gone"):
    """It was deregistered; its token is worth nothing any more."""

    status = "gone"


AGENT_STATES: dict[AgentStatus, type[AgentEntered]] = {
    state.status: state for state in (AgentActive, AgentDraining, AgentOffline, AgentGone)
}
"""The event that announces each state."""


class AgentChanged(AgentEvent, name="changed"):
    """The router sees an agent differently now; `why` says what changed."""

    is_state: ClassVar[bool] = True

    tier: Tier
    load_level: LoadLevel
    breaker: Breaker
    available: bool
    in_flight: int
    capacity: int
    quality: float = 0.75
    why: str


PRESENCE_EVENTS: tuple[type[AgentEvent], ...] = (AgentRegistered, AgentHeartbeat, AgentDeregistered)
"""All that an agent, or who runs it, says about the agent."""
