"""The runner under the real runtime and keeper: a run is done once, seen to die, and stopped when it is cancelled."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from pydantic import SecretStr

from consumers._feed import Feed
from consumers._runtime import Slots
from consumers.runner import Runner
from consumers.runner.agent import Answer, Reporter, Work
from deploy.local.server import Server
from events import Event, EventData, TaskAssigned, TaskControl
from events.errors import PermanentError, TransientError
from events.run import RUN_EVENTS
from events.streams import Durable
from producers.topology import consumer_config
from storage.database import DatabaseSettings
from storage.lookup import PostgresLookup
from tests.support.eventually import PATIENCE, eventually
from tests.support.running_keeper import AGENT, Bus, a_bus, checked, decided

RUNNER = Durable("runner-test", (TaskAssigned,), outputs=RUN_EVENTS, ack_wait=0.9, max_deliver=5, retry=(0.1,), slots=4)


class Scripted:
    """An agent that does what the test says, and remembers what it was given."""

    id = AGENT
    capabilities = frozenset({"answer"})
    history_tokens = 1_000

    def __init__(self) -> None:
        self.given: list[Work] = []
        self.stopped = 0
        self.go_on = asyncio.Event()
        self.fails: list[Exception] = []
        self.says: list[str] = []

    async def run(self, work: Work, reporter: Reporter) -> Answer:
        self.given.append(work)
        for text in self.says:
            await reporter.say(text)
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.stopped += 1
            raise
        if self.fails:
            raise self.fails.pop(0)
        return Answer({"text": "done"}, tokens=3)


@pytest.fixture
async def bus(module_nats_server: Server, database_url: str) -> AsyncGenerator[Bus]:
    async with a_bus(module_nats_server.url, database_url) as bus:
        await bus.keeper()
        await bus.client.jetstream().add_consumer("BUS", consumer_config(RUNNER))
        yield bus


@asynccontextmanager
async def running(bus: Bus, agent: Scripted) -> AsyncGenerator["asyncio.Task[None]"]:
    """A process with that agent; leaving is its sudden death."""
    settings = DatabaseSettings(database_url=SecretStr(bus.database_url))
    async with PostgresLookup(settings) as lookup:
        runner = Runner([agent], lookup)

        async def start() -> None:
            await runner.listen(bus.client)

        consumer = Slots(RUNNER, runner.run, start)
        await consumer.start()
        task = asyncio.create_task(Feed(bus.client, bus.publisher, consumer).run())
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait({task})


async def assigned(bus: Bus, prompt: str = "Summarise it.") -> Event[EventData]:
    cause = await bus.submit(prompt)
    await bus.say(cause, checked(cause))
    await bus.say(cause, decided(cause))
    return cause


async def test_work_longer_than_the_acknowledgement_time_is_done_once(bus: Bus) -> None:
    agent = Scripted()
    async with running(bus, agent):
        cause = await assigned(bus)
        await bus.enters(cause.taskid, "running")
        began = time.monotonic()
        await eventually(lambda: time.monotonic() - began > 2 * RUNNER.ack_wait)
        agent.go_on.set()
        await bus.enters(cause.taskid, "succeeded")
    assert len(agent.given) == 1
    row = await bus.database.fetchrow("SELECT status, tokens, attempt FROM run")
    assert row is not None
    assert tuple(row) == ("succeeded", 3, 1)


async def test_a_run_whose_process_died_is_lost_and_tried_again(bus: Bus) -> None:
    first, second = Scripted(), Scripted()
    async with running(bus, first):
        cause = await assigned(bus)
        await bus.enters(cause.taskid, "running")
    async with running(bus, second):
        await bus.enters(cause.taskid, "ready")
        row = await bus.database.fetchrow("SELECT attempt, reason FROM task")
        assert row is not None
        assert tuple(row) == (2, "run_lost")
        assert second.given == []
        second.go_on.set()
        await bus.say(cause, decided(cause, 2), seed="second attempt")
        await bus.enters(cause.taskid, "succeeded")
    runs = await bus.database.fetch("SELECT attempt, status FROM run ORDER BY attempt")
    assert [tuple(run) for run in runs] == [(1, "lost"), (2, "succeeded")]


async def test_a_cancelled_task_stops_its_agent_within_a_second(bus: Bus) -> None:
    agent = Scripted()
    async with running(bus, agent):
        cause = await assigned(bus)
        await bus.enters(cause.taskid, "running")
        assert cause.taskid is not None
        await eventually(lambda: agent.given)
        began = time.monotonic()
        await bus.say(cause, TaskControl(task_id=cause.taskid, action="cancel", by="o"))
        await eventually(lambda: agent.stopped == 1)
        assert time.monotonic() - began < 1.0 * PATIENCE
    await bus.folded()
    assert await bus.status(cause.taskid) == "cancelled"


async def test_a_task_that_ended_before_its_turn_never_reaches_the_agent(bus: Bus) -> None:
    agent = Scripted()
    cause = await assigned(bus)
    await bus.enters(cause.taskid, "assigned")
    assert cause.taskid is not None
    await bus.say(cause, TaskControl(task_id=cause.taskid, action="cancel", by="o"))
    await bus.enters(cause.taskid, "cancelled")

    async with running(bus, agent):
        await eventually(lambda: bus.settled(RUNNER.name), within=15)
    assert agent.given == []


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (PermanentError("No such tool."), "failed", "internal_error"),
        (TransientError("Busy."), "waiting", "unavailable"),
        (ValueError("a secret"), "waiting", "agent_error"),
    ],
)
async def test_an_agents_error_is_a_fact_and_not_a_redelivery(
    bus: Bus, failure: Exception, status: str, code: str
) -> None:
    agent = Scripted()
    agent.fails.append(failure)
    agent.go_on.set()
    async with running(bus, agent):
        cause = await assigned(bus)
        await bus.enters(cause.taskid, status)  # type: ignore[arg-type]  # literals, seen by eye
    error = json.loads(await bus.database.fetchval("SELECT error FROM task"))
    assert error["code"] == code
    assert "secret" not in error["message"]
    assert len(agent.given) == 1


async def test_an_agent_is_given_the_redacted_texts(bus: Bus) -> None:
    agent = Scripted()
    agent.go_on.set()
    async with running(bus, agent):
        cause = await bus.submit("Call 555-0100", acceptance_criteria=["mention 555-0100"])
        redacted = {"goal": "Call [PHONE]", "acceptance_criteria/0": "mention [PHONE]"}
        await bus.say(cause, checked(cause, "redact", redacted=redacted))
        await bus.say(cause, decided(cause))
        await bus.enters(cause.taskid, "succeeded")
    assert (agent.given[0].prompt, agent.given[0].acceptance_criteria) == ("Call [PHONE]", ("mention [PHONE]",))
