"""What outside agents state: facts about their own runs, and that they live. Who may say which is the agents' rule."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from pydantic import BaseModel

from events.agent import PRESENCE_EVENTS
from events.base import Event, EventData
from events.run import RUN_EVENTS
from gateway.auth.sender import Kind, Sender
from gateway.door.arrival import Arrival
from gateway.door.rules import Rule, read_said


class Facts(Protocol):
    """Binds what an agent states to what it was assigned."""

    async def admit(self, sender: Sender, data: EventData, event_id: UUID) -> Event[EventData]:
        """The fact as an event about the sender's own run, with this id; a GanglionError refuses it."""
        ...


class FactRule:
    """One type of fact of an outside agent."""

    who: Kind = "agent"
    scope: str | None = None

    def __init__(self, payload: type[EventData], facts: Facts) -> None:
        self.payload = payload
        self.said: type[BaseModel] = payload
        self._facts = facts

    async def admit(self, arrival: Arrival) -> Event[EventData]:
        """As the agents' rule makes it."""
        return await self._facts.admit(arrival.sender, read_said(self.payload, arrival), arrival.event_id)


def fact_rules(facts: Facts) -> Sequence[Rule]:
    """The rules for all that an outside agent may state."""
    return [FactRule(payload, facts) for payload in (*RUN_EVENTS, *PRESENCE_EVENTS)]
