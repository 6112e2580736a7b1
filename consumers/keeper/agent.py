"""The life of an agent (requirements.md O.3): active, draining, offline, gone. What was asked for is judged here.

The router acts on the states that follow, never on the requests: a name belongs to who registered it first.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import singledispatch

from pydantic import JsonValue

from consumers.keeper.absence import SOURCE as JANITOR
from consumers.keeper.agent_state import AgentState, row_of, state_id, state_of
from consumers.keeper.world import Aggregate, Effect, Key, RefusedError, World
from events.agent import (
    AGENT_STATES,
    EVERYONE,
    NOT_HEARD_OF,
    AgentChanged,
    AgentDeregistered,
    AgentEntered,
    AgentEvent,
    AgentHeartbeat,
    AgentNoted,
    AgentRegistered,
    AgentStatus,
    is_outside,
)
from events.base import About, Event, EventData

MOST_NOTES = 20
"""What was said of an agent before that is in the log only."""


def touches(event: Event[EventData]) -> Iterable[Key]:
    """The agent that the event is about, in the event's tenant."""
    return (Key(AgentState, _id_of(event)),)


def decide(world: World, event: Event[EventData], at: datetime) -> Sequence[Effect]:
    """The state that a request makes the agent enter. Raises RefusedError."""
    if isinstance(event.data, AgentEntered):
        return ()
    agent = world.get(AgentState, _id_of(event))
    if isinstance(event.data, AgentRegistered):
        entered = _registered(event, event.data, agent, at)
    elif agent is None or agent.status == "gone":
        raise RefusedError("unknown_agent")
    else:
        entered = _lead_to(event.data, agent, event.source)
    return [] if entered is None else [Effect(entered, entered.version, About(event.ownerid, None, None))]


def _registered(
    event: Event[EventData], offer: AgentRegistered, agent: AgentState | None, at: datetime
) -> AgentEntered | None:
    if offer.outside == (event.tenantid == EVERYONE):
        raise RefusedError("not_of_this_tenant")
    if offer.outside != is_outside(offer.agent_id):
        raise RefusedError("wrong_name")
    if agent is not None and agent.status != "gone" and agent.owner != event.ownerid:
        raise RefusedError("name_taken")
    after = _offered(event, offer, agent, at)
    if agent is not None and agent.status == "active" and _same_offer(agent, after):
        return None
    return _enter(after, "active", since=agent, reason="registered")


def _same_offer(agent: AgentState, after: AgentState) -> bool:
    return not agent.outside and after._replace(heartbeat_at=agent.heartbeat_at, updated_at=agent.updated_at) == agent


@singledispatch
def _lead_to(_: EventData, __: AgentState, ___: str) -> AgentEntered | None:
    """The state that one kind of event, said by this source, leads to, if any."""
    return None


@_lead_to.register
def _heard(beat: AgentHeartbeat, agent: AgentState, source: str) -> AgentEntered | None:
    if beat.status == "offline":
        reason = NOT_HEARD_OF if source == JANITOR else "said_so"
        return None if agent.status == "offline" else _enter(agent, "offline", since=agent, reason=reason)
    if agent.status != "offline":
        return None
    return _enter(agent, "draining" if agent.draining else "active", since=agent, reason="heard_again")


@_lead_to.register
def _leaves(command: AgentDeregistered, agent: AgentState, source: str) -> AgentEntered | None:
    if source == JANITOR and command.reason == NOT_HEARD_OF and agent.status != "offline":
        return None  # it was heard of just before
    if not command.drain:
        return _enter(agent, "gone", since=agent, reason=command.reason or "deregistered")
    return None if agent.draining else _enter(agent, "draining", since=agent, reason=command.reason or "draining")


def _enter(agent: AgentState, status: AgentStatus, *, since: AgentState | None, reason: str) -> AgentEntered:
    """The event that announces that `agent` enters `status`."""
    return AGENT_STATES[status](
        agent_id=agent.agent_id,
        from_status=None if since is None else since.status,
        version=1 if since is None else since.version + 1,
        name=agent.name,
        agent_type=agent.agent_type,
        capabilities=agent.capabilities,
        technologies=agent.technologies,
        capacity=agent.capacity,
        outside=agent.outside,
        reason=reason,
        pushed=True if agent.endpoint_url is not None else None,
    )


def evolve(world: World, event: Event[EventData], at: datetime) -> None:
    """Put the agent as it is after this event."""
    agent = world.get(AgentState, _id_of(event))
    data = event.data
    if isinstance(data, AgentRegistered):
        after = _offered(event, data, agent, at)
        world.put(after.id, after)
    elif agent is not None:
        world.put(agent.id, _noted(data, agent, at))


@singledispatch
def _noted(_: EventData, agent: AgentState, __: datetime) -> AgentState:
    return agent


@_noted.register
def _entered_row(data: AgentEntered, agent: AgentState, at: datetime) -> AgentState:
    draining = data.status == "draining" or (agent.draining and data.status == "offline")
    token = None if data.status == "gone" else agent.token_hash
    return agent._replace(
        status=data.status,
        draining=draining,
        token_hash=token,
        reason=data.reason,
        version=data.version,
        available=data.status == "active",
        updated_at=at,
    )


@_noted.register
def _heard_row(data: AgentHeartbeat, agent: AgentState, at: datetime) -> AgentState:
    if data.status == "offline":
        return agent
    said: dict[str, JsonValue] = {"status": data.status, "in_flight": data.in_flight, "load": data.load}
    return agent._replace(heartbeat_at=at, reported={**said, "metrics": data.metrics} if data.metrics else said)


@_noted.register
def _said_row(data: AgentNoted, agent: AgentState, at: datetime) -> AgentState:
    said: dict[str, JsonValue] = {"by": data.by, "at": at.isoformat(), "quality": data.quality, "note": data.note}
    said["task_id"] = None if data.task_id is None else str(data.task_id)
    return agent._replace(notes=(said, *(agent.notes or ()))[:MOST_NOTES])


@_noted.register
def _changed_row(data: AgentChanged, agent: AgentState, at: datetime) -> AgentState:
    return agent._replace(
        tier=data.tier,
        quality=data.quality,
        load_level=data.load_level,
        breaker=data.breaker,
        available=data.available,
        in_flight=data.in_flight,
        updated_at=at,
    )


def _offered(event: Event[EventData], offer: AgentRegistered, agent: AgentState | None, at: datetime) -> AgentState:
    """The agent as it offers itself; what it did before stays its own unless it had left."""
    fresh = AgentState(
        id=_id_of(event),
        tenant=event.tenantid,
        agent_id=offer.agent_id,
        owner=event.ownerid,
        name=offer.name,
        agent_type=offer.agent_type,
        capabilities=offer.capabilities,
        technologies=offer.technologies,
        capacity=offer.capacity,
        outside=offer.outside,
        token_hash=offer.token_hash,
        agent_version=offer.version,
        metadata=offer.metadata,
        status="active" if agent is None else agent.status,
        draining=False,
        reason=None,
        version=0 if agent is None else agent.version,
        registered_at=at,
        heartbeat_at=at,
        reported=None,
        updated_at=at,
        endpoint_url=offer.endpoint_url,
        token_since=at if offer.outside else None,
    )
    if agent is None or agent.status == "gone":
        return fresh
    kept = ("registered_at", "reason", "reported", "notes")
    shown = ("tier", "quality", "load_level", "breaker", "available", "in_flight")
    return fresh._replace(**{name: getattr(agent, name) for name in (*kept, *shown)})


def _id_of(event: Event[EventData]) -> str:
    if not isinstance(event.data, AgentEvent):
        raise RefusedError("no_agent")
    return state_id(event.tenantid, event.data.agent_id)


AGGREGATE = Aggregate(
    kind=AgentState,
    table="agent",
    handles=(AgentEvent,),
    touches=touches,
    decide=decide,
    evolve=evolve,
    state_of=state_of,
    row_of=row_of,
)
