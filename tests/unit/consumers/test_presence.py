"""What a process says of the agents that it runs."""

import asyncio
from contextlib import suppress

from structlog.testing import capture_logs

from consumers._presence import Offer, Presence
from events import AgentDeregistered, AgentHeartbeat, AgentRegistered, Event, EventData
from events.errors import BusUnavailableError
from producers.publisher import Ack
from tests.support.eventually import eventually


class Bus:
    """Remembers what is published; `away` counts how often it cannot be reached."""

    def __init__(self, away: int = 0) -> None:
        self.away = away
        self.said: list[EventData] = []

    async def publish(self, event: Event[EventData]) -> Ack:
        if self.away:
            self.away -= 1
            raise BusUnavailableError
        self.said.append(event.data)
        return Ack("BUS", 1, duplicate=False)


async def said_until(bus: Bus, count: int) -> list[tuple[type[EventData], object]]:
    """The first events, and the agent that each is about."""
    offer = Offer("new", frozenset({"chat"}))
    presence = Presence(bus, "runner", [offer], withdrawn=["old"], every=0.001)
    await presence.start()
    keeping = presence._keeping
    assert keeping is not None
    await eventually(lambda: len(bus.said) >= count)
    keeping.cancel()
    with suppress(asyncio.CancelledError):
        await keeping
    return [(type(data), getattr(data, "agent_id", None)) for data in bus.said[:count]]


async def test_what_is_offered_no_more_is_deregistered_once_and_first() -> None:
    said = await said_until(Bus(), 5)
    beat = (AgentHeartbeat, "new")
    assert said == [(AgentDeregistered, "old"), (AgentRegistered, "new"), beat, beat, beat]


async def test_a_bus_that_is_away_only_delays_it_and_is_told_of_once() -> None:
    with capture_logs() as logged:
        said = await said_until(Bus(away=3), 3)
    assert [line["event"] for line in logged] == ["presence_unsaid"]
    assert said == [(AgentDeregistered, "old"), (AgentRegistered, "new"), (AgentHeartbeat, "new")]
