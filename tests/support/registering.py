"""What is said of agents in tests."""

from events import AgentDeregistered, AgentHeartbeat, AgentRegistered, Event, EventData

NAME = "AGENT-ONE"
HASH = "0" * 64


def offer(name: str = NAME, **more: object) -> AgentRegistered:
    """An outside agent that can `answer`."""
    values: dict[str, object] = {"agent_id": name, "name": name, "capabilities": {"answer": 1.0}, "token_hash": HASH}
    return AgentRegistered.model_validate({**values, **more})


def offer_of_ours(name: str = "extractive", **more: object) -> AgentRegistered:
    """An agent in a process of ours."""
    return offer(name, **{"outside": False, "token_hash": None, "capacity": 1_000, **more})


def about(data: EventData, *, tenant: str = "t", owner: str = "o", source: str = "/gateway") -> Event[EventData]:
    """The event around it."""
    return Event.first(data, source=source, tenant=tenant, owner=owner)


def heartbeat(name: str = NAME, **more: object) -> AgentHeartbeat:
    return AgentHeartbeat.model_validate({"agent_id": name, **more})


def leaving(name: str = NAME, *, drain: bool = False) -> AgentDeregistered:
    return AgentDeregistered(agent_id=name, drain=drain, by="o")
