"""What an agent, a consumer or a route raises unforeseen is in no log: its message may be what a user wrote."""

import asyncio
import io
from collections.abc import AsyncGenerator, Generator, Sequence

import httpx
import pytest

from consumers._feed import Feed
from consumers._runtime import Flow, Slots
from consumers.runner import Runner
from consumers.runner.agent import Answer, Reporter, Work
from deploy.local.server import Server
from events import Event, EventData, TaskAssigned, TaskChecked, TaskSubmitted
from events.ids import new_id
from events.run import RUN_EVENTS
from events.streams import Durable
from producers.topology import consumer_config
from storage.database import DatabaseSettings
from storage.lookup import PostgresLookup
from tests.support.eventually import eventually
from tests.support.fake_keeper import FakeKeeper
from tests.support.logs import logged
from tests.support.running_gateway import ORIGIN, running_gateway, settings_for
from tests.support.running_keeper import AGENT, Bus, a_bus, checked, decided

CANARY = "canary-51c9"
FLOW = Durable("probe", (TaskSubmitted,), outputs=(TaskChecked,), ack_wait=2.0, max_deliver=2, retry=(0.05,))
RUNNER = Durable("runner-test", (TaskAssigned,), outputs=RUN_EVENTS, ack_wait=2.0, max_deliver=5, retry=(0.1,), slots=1)


class Loose:
    """An agent whose failure quotes what it was given."""

    id = AGENT
    capabilities = frozenset({"answer"})
    history_tokens = 0

    async def run(self, work: Work, _: Reporter) -> Answer:
        raise ValueError(f"cannot read {work.prompt}")


@pytest.fixture(params=[False, True], ids=["json", "terminal"])
def screen(request: pytest.FixtureRequest) -> Generator[io.StringIO]:
    with logged(person=request.param) as screen:
        yield screen


@pytest.fixture
async def log_of_tasks(screen: io.StringIO, module_nats_server: Server, database_url: str) -> AsyncGenerator[Bus]:
    async with a_bus(module_nats_server.url, database_url) as bus:
        yield bus


async def test_of_an_agents_failure_the_log_has_class_and_place_only(screen: io.StringIO, log_of_tasks: Bus) -> None:
    bus = log_of_tasks
    await bus.keeper()
    await bus.client.jetstream().add_consumer("BUS", consumer_config(RUNNER))
    async with PostgresLookup(DatabaseSettings(database_url=bus.database_url)) as lookup:
        runner = Runner([Loose()], lookup)
        slots = Slots(RUNNER, runner.run, lambda: runner.listen(bus.client))
        feeding = asyncio.create_task(Feed(bus.client, bus.publisher, slots).run())
        cause = await bus.submit(CANARY)
        await bus.say(cause, checked(cause))
        await bus.say(cause, decided(cause))
        await eventually(lambda: "agent_failed" in screen.getvalue(), within=15)
        feeding.cancel()
        await asyncio.wait({feeding})
    assert_kept_to_itself(screen)
    assert_names(screen, "agent_failed", "runner-test", str(cause.taskid))


async def test_of_a_consumers_failure_the_log_has_class_and_place_only(screen: io.StringIO, log_of_tasks: Bus) -> None:
    async def fail(event: Event[EventData]) -> Sequence[EventData]:
        raise ValueError(f"cannot read {event.data}")

    bus = log_of_tasks
    await bus.client.jetstream().add_consumer("BUS", consumer_config(FLOW))
    feeding = asyncio.create_task(Feed(bus.client, bus.publisher, Flow(FLOW, fail)).run())
    cause = await bus.submit(CANARY)
    await eventually(lambda: screen.getvalue().count("consumer_failed") == 2, within=15)
    feeding.cancel()
    await asyncio.wait({feeding})
    assert_kept_to_itself(screen)
    assert_names(screen, "consumer_failed", "probe", "seq", str(cause.taskid))


async def test_of_a_routes_failure_the_log_has_class_and_place_only(
    screen: io.StringIO, keeper: FakeKeeper, nats_url: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise ValueError(f"cannot read {CANARY}")

    monkeypatch.setattr("gateway.tasks.lookup.find_task", broken)
    async with (
        running_gateway(settings_for(nats_url, database_url, origins=(ORIGIN,))) as gateway,
        gateway.client() as alice,
    ):
        answer: httpx.Response = await alice.get(f"/api/v1/tasks/{new_id()}")
        async with gateway.socket() as socket:
            await socket.send(type="subscribe", id="1", room=f"task:{new_id()}")
            assert (await socket.closed())[0] == 1011
    assert answer.status_code == 500
    assert CANARY not in answer.text
    assert_names(screen, "request_failed", "request_id", answer.json()["trace_id"])
    assert_names(screen, "socket_failed", "request_id", "trace_id")
    assert_kept_to_itself(screen)


def assert_kept_to_itself(screen: io.StringIO) -> None:
    assert CANARY not in screen.getvalue()
    assert "ValueError" in screen.getvalue()
    assert "test_secrecy.py" in screen.getvalue()


def assert_names(screen: io.StringIO, event: str, *words: str) -> None:
    """Every line of this event says what it is about."""
    lines = [line for line in screen.getvalue().splitlines() if event in line]
    assert lines
    assert all(word in line for line in lines for word in words)
