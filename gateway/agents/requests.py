"""What clients send about agents: the words of document 002 (requirements.md 002.2), and of its external agents."""

from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from events.agent import Tier, is_outside
from events.base import JsonObject
from events.ids import Name
from events.task import Routing
from gateway.http.values import Whole

AgentType = Literal[
    "architect", "implementer", "reviewer", "debugger", "integrator", "orchestrator", "analyst", "optimizer"
]
AnyTier = Literal["elite", "advanced", "premium", "competent", "standard", "trainee", "degraded"]
"""The tiers of document 002 in both of its spellings."""
_TIERS: dict[AnyTier, Tier] = {
    "elite": "elite",
    "advanced": "advanced",
    "premium": "advanced",
    "competent": "competent",
    "standard": "competent",
    "trainee": "trainee",
    "degraded": "degraded",
}
_Weight = Annotated[float, Field(gt=0, le=1)]
_Names = Annotated[list[Name], Field(max_length=32)]
_Endpoint = Annotated[
    str | None,
    Field(max_length=2_048, description="Where it is called with its work (`POST {endpoint_url}/task`); else it pulls"),
]


def _upper_case(name: str) -> str:
    if not is_outside(name):
        raise ValueError("must hold a letter, and upper-case ones only")
    return name


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class RegisterAgentRequest(_Body):
    """An agent that wants work. `capabilities`: names, or names with weights (1 primary, 0.7 secondary)."""

    name: str = Field(pattern=r"^AGENT-[A-Z0-9-]+$", max_length=64, examples=["AGENT-SUMMARIZER"])
    agent_type: AgentType = "implementer"
    capabilities: (
        Annotated[list[Name], Field(min_length=1, max_length=64)]
        | Annotated[dict[Name, _Weight], Field(min_length=1, max_length=64)]
    ) = Field(examples=[["summarize"]])
    max_concurrent_capacity: Whole = Field(default=5, ge=1, le=50)
    technologies: _Names = Field(default_factory=list)
    endpoint_url: _Endpoint = None
    version: str | None = Field(default=None, max_length=64)
    metadata: JsonObject = Field(default_factory=dict)

    def weights(self) -> dict[str, float]:
        """Each capability with its weight."""
        if isinstance(self.capabilities, dict):
            return dict(self.capabilities)
        return dict.fromkeys(self.capabilities, 1.0)


class RegisterExternalAgentRequest(_Body):
    """The same in the words of the External Agent Protocol."""

    protocol_version: str = Field(max_length=16)
    name: Annotated[str, Field(pattern=r"^[A-Z0-9_\-]+$", max_length=64), AfterValidator(_upper_case)]
    version: str | None = Field(default=None, max_length=64)
    agent_type: AgentType = "implementer"
    capabilities: list[Name] = Field(min_length=1, max_length=64)
    endpoint_url: _Endpoint = None
    metadata: JsonObject = Field(default_factory=dict)


class DeregisterAgentRequest(_Body):
    """Why it leaves; `drain` lets it end what it has first."""

    reason: str | None = Field(default=None, max_length=500)
    drain: bool = False


class HeartbeatRequest(_Body):
    """A sign of life. What an agent says of its load is shown, and never believed."""

    status: Literal["healthy", "degraded", "busy", "offline"] = "healthy"
    current_load: float | None = Field(default=None, ge=0)
    tasks_in_progress: Whole | None = Field(default=None, ge=0)
    metrics: JsonObject = Field(default_factory=dict)
    timestamp: str | None = Field(default=None, max_length=64)


class NoteRequest(_Body):
    """How an agent works, in the eyes of whoever runs it: a mark, some words, or both; of one task or of all."""

    quality: float | None = Field(default=None, ge=0, le=1)
    note: str | None = Field(default=None, min_length=1, max_length=1_000, pattern=r"\S")
    task_id: UUID | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.quality is None and self.note is None:
            raise ValueError("say a quality, a note, or both")
        return self


class RebalanceRequest(_Body):
    """What to look at; with `dry_run` nothing is moved."""

    dry_run: bool = False
    agent_id: Name | None = Field(default=None, description="Only what is assigned to this agent")
    limit: Whole = Field(default=100, ge=1, le=100)


class RouteTaskRequest(_Body):
    """Who would take such a task now? Nothing is changed by asking."""

    task_description: str = Field(min_length=10, max_length=5_000, pattern=r"\S")
    required_capabilities: list[Name] = Field(min_length=1, max_length=32)
    preferred_agent_type: AgentType | None = None
    preferred_agent_ids: _Names = Field(default_factory=list)
    min_performance_tier: AnyTier | None = None
    estimated_complexity: float | None = Field(default=None, ge=0.1, le=10)
    technologies: _Names = Field(default_factory=list)
    avoid_technologies: _Names = Field(default_factory=list)

    def preferences(self) -> Routing:
        """What is asked for beyond capabilities."""
        least = self.min_performance_tier
        return Routing(
            preferred_agent_ids=tuple(self.preferred_agent_ids),
            preferred_agent_type=self.preferred_agent_type,
            technologies=tuple(self.technologies),
            avoid_technologies=tuple(self.avoid_technologies),
            min_tier=_TIERS[least] if least is not None else None,
        )
