"""Route events: which agent was chosen for a task, why, and who was passed over."""

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from events.base import EventData
from events.ids import Name
from events.task import Kind, Routing


class Candidate(BaseModel):
    """One agent the router weighed: the parts of its score, or why it was excluded."""

    model_config = ConfigDict(frozen=True)

    agent_id: Name
    score: float | None = None
    parts: dict[str, float] = Field(default_factory=dict)
    excluded: str | None = None


class RouteEvent(EventData, aggregate="route"):
    """Any routing decision about one attempt at a task."""

    task_id: UUID
    attempt: int

    @property
    def subject_id(self) -> str:
        """The task's id."""
        return str(self.task_id)


class RouteDecided(RouteEvent, name="decided"):
    """An agent was chosen; `pushed`: one that is called, so who has to do it is decided here and nowhere else.

    `task_version`: the task's as it became ready. It may have waited since, and be ready once more as the same attempt.
    """

    agent_id: Name
    score: float
    candidates: tuple[Candidate, ...] = ()
    reason: str
    pushed: bool | None = None
    task_version: int | None = None


class RouteFailed(RouteEvent, name="failed"):
    """No agent can take the task now; it waits with this reason."""

    reason: Literal["no_capability", "all_busy", "all_open"]
    candidates: tuple[Candidate, ...] = ()


class RouteQuestion(BaseModel):
    """Core NATS, no event: who would take a task with these needs now?"""

    model_config = ConfigDict(frozen=True)

    tenant: Name
    kind: Kind = "goal"
    required_capabilities: tuple[Name, ...] = ()
    routing: Routing | None = None


class RouteAnswer(BaseModel):
    """The router's answer: the agent it would choose, if any has room, and everyone it judged, the best first."""

    model_config = ConfigDict(frozen=True)

    agent_id: Name | None = None
    needs: tuple[Name, ...]
    candidates: tuple[Candidate, ...]
