"""Router: which agent takes a task, with its reasons. task.ready -> route.decided | route.failed.

The registry is configuration for now: `GANGLION_AGENTS='[{"id": "extractive", "capabilities": ["summarize"]}]'`.
"""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict
from pydantic_settings import BaseSettings, SettingsConfigDict

from consumers._runtime import Flow, Resources
from events.base import Event, EventData
from events.ids import Name
from events.route import Candidate, RouteDecided, RouteFailed
from events.streams import ROUTER
from events.task import TaskReady


class AgentEntry(BaseModel):
    """An agent and what it can do."""

    model_config = ConfigDict(frozen=True)

    id: Name
    capabilities: frozenset[Name]


class RouterSettings(BaseSettings):
    """The agents there are; by default the offline one."""

    model_config = SettingsConfigDict(frozen=True, env_prefix="GANGLION_")

    agents: tuple[AgentEntry, ...] = (
        AgentEntry(id="extractive", capabilities=frozenset({"answer", "extract", "summarize"})),
    )


class Router:
    """Chooses the agent that has what is required and the least besides; ties by id, so repeats agree."""

    def __init__(self, settings: RouterSettings) -> None:
        self._agents = settings.agents

    async def route(self, event: Event[EventData]) -> Sequence[EventData]:
        """One decision for one ready task."""
        data = event.data
        if not isinstance(data, TaskReady):
            return ()
        candidates = sorted(
            (self._weigh(agent, data.required_capabilities) for agent in self._agents),
            key=lambda candidate: (-(candidate.score or 0.0), candidate.agent_id),
        )
        best = next((candidate for candidate in candidates if candidate.excluded is None), None)
        if best is None or best.score is None:
            failed = RouteFailed(
                task_id=data.task_id, attempt=data.attempt, reason="no_capability", candidates=tuple(candidates)
            )
            return [failed]
        return [
            RouteDecided(
                task_id=data.task_id,
                attempt=data.attempt,
                agent_id=best.agent_id,
                score=best.score,
                candidates=tuple(candidates),
                reason="has every required capability and the fewest others",
            )
        ]

    def _weigh(self, agent: AgentEntry, required: tuple[str, ...]) -> Candidate:
        missing = sorted(set(required) - agent.capabilities)
        if missing:
            return Candidate(agent_id=agent.id, excluded=f"lacks {', '.join(missing)}")
        fit = (1 + len(set(required))) / (1 + len(agent.capabilities))
        return Candidate(agent_id=agent.id, score=round(fit, 4), parts={"capability": round(fit, 4)})


def build(_: Resources) -> Flow:
    """The consumer with the agents of the environment."""
    return Flow(ROUTER, Router(RouterSettings()).route)
