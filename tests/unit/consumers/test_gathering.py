"""What is said at once leaves together, what is said alone leaves soon, and what fails is told."""

import asyncio
from collections.abc import Sequence
from uuid import uuid4

import pytest

from consumers._gathering import Gathering
from events.base import Event, EventData
from events.errors import BusUnavailableError
from events.task import TaskControl
from producers.publisher import Ack
from tests.support.eventually import eventually


class Sent:
    """Notes what is sent together; fails while it is `away`."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.away = False

    async def send_all(self, events: Sequence[Event[EventData]]) -> list[asyncio.Future[Ack]]:
        if self.away and events:
            raise BusUnavailableError
        if events:
            self.batches.append([event.id for event in events])
        return [asyncio.get_running_loop().create_future() for _ in events]


def an_event() -> Event[EventData]:
    return Event.first(TaskControl(task_id=uuid4(), action="cancel", by="a"), source="/test", tenant="t", owner="o")


async def test_what_is_said_at_once_leaves_together_in_order() -> None:
    sent, events = Sent(), [an_event() for _ in range(3)]
    said = Gathering(sent)
    for event in events:
        await said.add(event)
    assert len(await said.end()) == 3
    assert sent.batches == [[event.id for event in events]]


async def test_what_nothing_follows_leaves_by_itself() -> None:
    sent, events = Sent(), [an_event() for _ in range(2)]
    said = Gathering(sent)
    await said.add(events[0])
    await eventually(lambda: sent.batches == [[events[0].id]])
    await said.add(events[1])
    assert len(await said.end()) == 2
    assert sent.batches == [[event.id] for event in events]


async def test_a_bus_that_is_away_is_told_to_whoever_goes_on() -> None:
    sent = Sent()
    said = Gathering(sent)
    sent.away = True
    await said.add(an_event())
    with pytest.raises(BusUnavailableError):
        await eventually(lambda: _goes_on(said))
    with pytest.raises(BusUnavailableError):
        await said.end()


async def _goes_on(said: Gathering) -> bool:
    await said.add(an_event())
    return False
