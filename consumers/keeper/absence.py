"""What the clock says of agents: who was not heard of goes offline, then is gone, as is who has drained (O.3)."""

from events.agent import NOT_HEARD_OF, AgentDeregistered, AgentHeartbeat
from events.base import Event, EventData
from events.ids import derived_id
from storage.absence import Absent
from storage.janitor import JanitorStore

SOURCE = "/janitor"


async def absences(store: JanitorStore, silent_after: float, gone_after: float) -> list[Event[EventData]]:
    """The events for now; their ids are derived, so ticks do not pile up. Raises StoreUnavailableError."""
    silent = [
        _said(agent, AgentHeartbeat(agent_id=agent.agent_id, status="offline"), "silent")
        for agent in await store.silent_agents(silent_after)
    ]
    lost = [
        _said(agent, AgentDeregistered(agent_id=agent.agent_id, by=SOURCE, reason=NOT_HEARD_OF), "lost")
        for agent in await store.lost_agents(gone_after, max(0.0, gone_after - silent_after))
    ]
    drained = [
        _said(agent, AgentDeregistered(agent_id=agent.agent_id, by=SOURCE, reason="drained"), "drained")
        for agent in await store.drained_agents()
    ]
    return [*silent, *lost, *drained]


def _said(agent: Absent, data: EventData, why: str) -> Event[EventData]:
    cause = f"{agent.tenant}/{agent.agent_id}"
    return Event.first(
        data,
        source=SOURCE,
        tenant=agent.tenant,
        owner=agent.owner,
        event_id=derived_id(cause, SOURCE, why, agent.version, agent.heartbeat_at.isoformat()),
    )
