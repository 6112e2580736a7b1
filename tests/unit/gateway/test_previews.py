"""What an outside agent says while it works is redacted as it comes, wherever its words are cut."""

import asyncio
from collections.abc import AsyncGenerator
from unittest.mock import AsyncMock, Mock
from uuid import UUID

import pytest

from events.base import Event, EventData
from events.errors import BusUnavailableError
from events.ids import new_id
from events.run import RunDelta, RunFinished
from gateway.auth.sender import Sender
from gateway.door.agents import FactRule
from gateway.door.arrival import Arrival
from gateway.door.door import Door
from gateway.door.rules import Rules
from gateway.live.previews import Previews
from screening.engine import Screener
from screening.settings import ScreeningSettings
from tests.support.eventually import eventually

SSN = "536-90-4399"
TEXT = f"Dear customer, your number {SSN} is on file.\nThis is all that there is to say about it for today, or so. " * 2


async def screener() -> Screener:
    return ScreeningSettings().screener()


class Agent:
    """One execution of an outside agent, and what subscribers get to read of it."""

    def __init__(self) -> None:
        self.published: list[Event[EventData]] = []
        self.previews = Previews(screener, self._publish)
        self.execution = new_id()

    async def _publish(self, event: Event[EventData]) -> None:
        self.published.append(event)

    def event(self, text: str, offset: int) -> tuple[Event[EventData], RunDelta]:
        ids: dict[str, UUID] = {"run_id": self.execution, "task_id": self.execution, "execution_id": self.execution}
        data = RunDelta(**ids, attempt=1, agent_id="a", seq=1, offset=offset, text=text)
        return Event.first(data, source="/gateway", tenant="t", owner="ann", session_id="s"), data

    async def says(self, text: str, offset: int) -> None:
        await self.previews.say(*self.event(text, offset))

    async def ends(self) -> None:
        await self.previews.end(self.event("", 0)[0], self.execution)

    @property
    def deltas(self) -> list[RunDelta]:
        return [event.data for event in self.published if isinstance(event.data, RunDelta)]

    @property
    def heard(self) -> str:
        return "".join(delta.text for delta in self.deltas)


@pytest.fixture
async def agent() -> AsyncGenerator[Agent]:
    speaking = Agent()
    yield speaking
    await speaking.previews.close()


@pytest.mark.parametrize("size", [1, 5, 29])
async def test_a_secret_cut_over_pieces_never_shows_and_the_places_add_up(agent: Agent, size: int) -> None:
    for at in range(0, len(TEXT), size):
        await agent.says(TEXT[at : at + size], at)
    await agent.ends()
    assert agent.heard == TEXT.replace(SSN, "[SSN_1]")
    assert [d.offset for d in agent.deltas] == [
        sum(len(d.text) for d in agent.deltas[:n]) for n in range(len(agent.deltas))
    ]
    assert len({event.id for event in agent.published}) == len(agent.published)


async def test_a_piece_that_comes_twice_is_said_once(agent: Agent) -> None:
    for at in range(0, len(TEXT), 40):
        for _ in range(2):
            await agent.says(TEXT[at : at + 40], at)
    await agent.ends()
    assert agent.heard == TEXT.replace(SSN, "[SSN_1]")


async def test_after_a_pause_all_is_out_but_the_beginning_of_a_secret(agent: Agent) -> None:
    await agent.says("Your number is 536-90", 0)

    async def out() -> bool:
        return agent.heard == "Your number is "

    await eventually(out, within=5)
    await agent.says("-4399 indeed", 21)
    await agent.ends()
    assert agent.heard == "Your number is [SSN_1] indeed"


async def test_of_a_piece_that_does_not_follow_nothing_is_shown_before_a_new_line(agent: Agent) -> None:
    await agent.says("Good morning. ", 0)
    await agent.says("-90-4399 is the rest of it\nand now to something else", 20)
    await agent.ends()
    assert agent.heard == "Good morning. and now to something else"
    assert agent.deltas[-1].offset == 20 + len("-90-4399 is the rest of it\n")


async def test_the_findings_of_a_delta_are_not_the_agents_to_say(agent: Agent) -> None:
    event, data = agent.event("Good morning. ", 0)
    await agent.previews.say(event, data.model_copy(update={"findings": ()}))
    await agent.ends()
    assert [delta.findings for delta in agent.deltas] == [None]


async def test_two_runs_that_speak_at_once_are_not_mixed_up() -> None:
    both = [Agent(), Agent()]
    await asyncio.gather(*(agent.says(TEXT[at : at + 7], at) for at in range(0, len(TEXT), 7) for agent in both))
    for agent in both:
        await agent.ends()
        assert agent.heard == TEXT.replace(SSN, "[SSN_1]")
        await agent.previews.close()


class Assigned:
    """Finds every fact to be about a run of the sender's."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    async def admit(self, sender: Sender, data: EventData, event_id: UUID) -> Event[EventData]:
        event = Event.first(data, source="/gateway", tenant=sender.tenant, owner="ann", session_id="s")
        return event.model_copy(update={"id": str(event_id)})


async def test_at_the_door_deltas_are_redacted_and_end_with_the_run(agent: Agent) -> None:
    acceptor = AsyncMock()
    rules = Rules([FactRule(payload, Assigned(agent)) for payload in (RunDelta, RunFinished)])
    rest = {"bus": Mock(), "commits": Mock(store_answers=False), "engine": Mock(), "recents": Mock()}
    door = Door(rules=rules, acceptor=acceptor, previews=agent.previews, **rest)

    async def sends(data: EventData) -> None:
        given = {"specversion": "1.0", "id": str(new_id()), "source": "/agent", "type": data.event_type}
        await door.take(
            Arrival.read(Sender.agent("t", "a", "gat_t.x"), {**given, "data": data.model_dump(mode="json")})
        )

    for at in range(0, len(TEXT), 17):
        await sends(agent.event(TEXT[at : at + 17], at)[1])
    acceptor.accept.side_effect = BusUnavailableError
    ids: dict[str, UUID] = {"run_id": agent.execution, "task_id": agent.execution, "execution_id": agent.execution}
    with pytest.raises(BusUnavailableError):
        await sends(RunFinished(**ids, attempt=1, agent_id="a", outcome="succeeded", output={"text": "done"}))
    assert agent.heard == TEXT.replace(SSN, "[SSN_1]")
