"""Agents that fall silent, leave or hand work back, under the real keeper: their runs go to others, as new attempts."""

from collections.abc import AsyncGenerator, Sequence

import pytest
from pydantic import SecretStr

from consumers.keeper.absence import SOURCE as JANITOR
from consumers.keeper.janitor import Janitor
from deploy.local.server import Server
from events import Event, EventData, TaskError
from events.agent import NOT_HEARD_OF, AgentDeregistered
from storage.database import DatabaseSettings
from storage.janitor import JanitorStore
from storage.keeper import Position
from storage.live.durable import Durable
from tests.support.accounting import assert_accounted
from tests.support.eventually import eventually
from tests.support.registering import NAME, about, heartbeat, leaving, offer
from tests.support.running_keeper import Bus, a_bus, checked, decided, finished, started


@pytest.fixture
async def bus(module_nats_server: Server, database_url: str) -> AsyncGenerator[Bus]:
    async with a_bus(module_nats_server.url, database_url) as bus:
        await bus.keeper()
        await bus.publisher.publish(about(offer()))
        await bus.folded()
        yield bus
        await assert_accounted(database_url)


async def assigned(bus: Bus) -> Event[EventData]:
    """A task in the hands of the agent."""
    cause = await bus.submit()
    await bus.say(cause, checked(cause))
    await bus.say(cause, decided(cause).model_copy(update={"agent_id": NAME}))
    await bus.enters(cause.taskid, "assigned")
    return cause


async def age(bus: Bus, table: str, column: str, where: str = "true") -> None:
    await bus.database.execute(f"UPDATE {table} SET {column} = now() - interval '91 s' WHERE {where}")  # noqa: S608  # own names


async def becomes(bus: Bus, status: str) -> None:
    async def is_so() -> bool:
        found = await bus.database.fetchval("SELECT status FROM agent")
        assert found == status
        return True

    await eventually(is_so, within=15)


async def said_by_the_clock(bus: Bus) -> list[str]:
    """What a look of the janitor's leads to, at the place up to which the log is folded."""
    store = await JanitorStore.connect(bus.database_url)
    before = len(await bus.stream())

    async def nothing_is_forgotten(events: Sequence[Event[EventData]], offered: int) -> None:
        raise AssertionError(events, offered)

    try:
        position = await bus.database.fetchrow("SELECT epoch, position FROM keeper")
        assert position is not None
        await Janitor(bus.client, store, bus.publisher).tick(nothing_is_forgotten, Position(*position))
        await eventually(lambda: not bus.publisher.in_flight)
    finally:
        await store.close()
    return sorted(str(event["type"]) for _, event in (await bus.stream())[before:])


async def attempt(bus: Bus, cause: Event[EventData]) -> tuple[int, str | None]:
    await bus.enters(cause.taskid, "ready")
    row = await bus.database.fetchrow("SELECT attempt, reason FROM task WHERE id = $1", cause.taskid)
    assert row is not None
    return row["attempt"], row["reason"]


async def test_nobody_is_taken_for_silent_whose_signs_of_life_lie_unread_in_the_log(
    module_nats_server: Server, database_url: str
) -> None:
    async with a_bus(module_nats_server.url, database_url) as bus:
        led = await bus.keeper()
        await bus.publisher.publish(about(offer()))
        running = await assigned(bus)
        await bus.say(running, started(running, agent_id=NAME))
        await bus.enters(running.taskid, "running")
        await bus.folded()
        await led.stop()
        await age(bus, "agent", "heartbeat_at")
        await age(bus, "task", "heartbeat_at")
        beat = await bus.publisher.publish(about(heartbeat()))
        assert await said_by_the_clock(bus) == []
        await bus.client.jetstream().delete_msg("BUS", beat.seq)
        assert await said_by_the_clock(bus) == ["io.ganglion.agent.heartbeat.v1", "io.ganglion.run.finished.v1"]


async def test_the_runs_of_an_agent_that_falls_silent_go_to_others(bus: Bus) -> None:
    running, waiting = await assigned(bus), await assigned(bus)
    await bus.say(running, started(running, agent_id=NAME))
    await bus.enters(running.taskid, "running")
    await age(bus, "agent", "heartbeat_at")
    await becomes(bus, "offline")
    assert await bus.database.fetchval("SELECT reason FROM agent") == "not_heard_of"
    assert await attempt(bus, running) == (2, "run_lost")
    assert await attempt(bus, waiting) == (2, "run_lost")
    await bus.publisher.publish(about(heartbeat()))
    await becomes(bus, "active")


async def test_the_runs_of_an_agent_that_comes_again_become_new_attempts_at_once(bus: Bus) -> None:
    """With a new token: whoever had the old one can say nothing more of them."""
    before = await assigned(bus)
    await bus.say(before, started(before, agent_id=NAME))
    await bus.enters(before.taskid, "running")
    await bus.publisher.publish(about(offer(token_hash="1" * 64)))
    assert await attempt(bus, before) == (2, "run_lost")
    since = await assigned(bus)
    await bus.say(since, started(since, agent_id=NAME))
    await bus.enters(since.taskid, "running")
    assert await said_by_the_clock(bus) == []


async def test_those_of_an_agent_that_is_called_go_on_when_it_comes_again(bus: Bus) -> None:
    called = offer(endpoint_url="https://agent.example/x")
    await bus.publisher.publish(about(called))
    cause = await assigned(bus)
    await bus.say(cause, started(cause, agent_id=NAME))
    await bus.enters(cause.taskid, "running")
    await bus.publisher.publish(about(called.model_copy(update={"token_hash": "1" * 64})))
    await bus.folded()
    assert await said_by_the_clock(bus) == []


async def test_an_agent_that_stays_silent_is_gone_for_good_unless_it_has_just_come_back(bus: Bus) -> None:
    await age(bus, "agent", "heartbeat_at")
    await becomes(bus, "offline")
    silent = "UPDATE agent SET heartbeat_at = now() - interval '301 s'"
    await bus.database.execute(f"{silent}, updated_at = now() - interval '205 s'")
    assert await said_by_the_clock(bus) == []  # nobody could be heard before: it has as long to come back as all others
    lost = AgentDeregistered(agent_id=NAME, by=JANITOR, reason=NOT_HEARD_OF)
    await bus.publisher.publish(about(heartbeat()))
    await becomes(bus, "active")
    await bus.publisher.publish(about(lost).model_copy(update={"source": JANITOR}))
    await bus.folded()
    await becomes(bus, "active")
    await age(bus, "agent", "heartbeat_at")
    await becomes(bus, "offline")
    await bus.database.execute(f"{silent}, updated_at = now() - interval '211 s'")
    await becomes(bus, "gone")
    found = await bus.database.fetchrow("SELECT reason, token_hash FROM agent")
    assert found is not None
    assert tuple(found) == (NOT_HEARD_OF, None)


async def test_what_an_agent_does_not_begin_within_its_silence_goes_to_others(bus: Bus) -> None:
    cause = await assigned(bus)
    await age(bus, "task", "updated_at")
    assert await attempt(bus, cause) == (2, "run_lost")


async def test_a_task_of_an_agent_of_ours_may_wait_in_its_durable_for_long(bus: Bus) -> None:
    cause = await bus.submit()
    await bus.say(cause, checked(cause))
    await bus.say(cause, decided(cause))
    await bus.enters(cause.taskid, "assigned")
    await age(bus, "task", "updated_at")
    other = await assigned(bus)
    await age(bus, "task", "updated_at", f"id = '{other.taskid}'")
    await attempt(bus, other)
    assert await bus.status(cause.taskid) == "assigned"


async def _pending_calls(bus: Bus) -> bool:
    return bool((await bus.client.jetstream().consumer_info("BUS", "push")).num_pending == 1)


async def test_what_waits_to_be_called_waits_for_us_and_is_driven_on_as_ours(bus: Bus) -> None:
    cause = await bus.submit()
    await bus.say(cause, checked(cause))
    await bus.say(cause, decided(cause).model_copy(update={"agent_id": NAME, "pushed": True}))
    await bus.enters(cause.taskid, "assigned")
    await eventually(lambda: _pending_calls(bus), within=5)  # it is committed before it is published
    await age(bus, "task", "updated_at")
    other = await assigned(bus)
    await age(bus, "task", "updated_at", f"id = '{other.taskid}'")
    await attempt(bus, other)
    assert await bus.status(cause.taskid) == "assigned"
    store = await JanitorStore.connect(bus.database_url)
    try:
        epoch = await bus.database.fetchval("SELECT epoch FROM keeper")
        await bus.database.execute("UPDATE event_log SET time = now() - interval '91 s'")
        stuck = {one.id: one.pushed for one in await store.stuck(15.0, epoch, unroutable_after=300.0)}
    finally:
        await store.close()
    assert stuck[cause.taskid] is True  # type: ignore[index]  # a task's id
    await bus.publisher.publish(about(leaving()))  # but an agent that is gone is not waited for
    assert await attempt(bus, cause) == (2, "run_lost")


async def test_the_runs_of_an_agent_that_leaves_go_to_others_at_once(bus: Bus) -> None:
    cause = await assigned(bus)
    await bus.publisher.publish(about(leaving()))
    assert await attempt(bus, cause) == (2, "run_lost")


async def test_an_agent_that_drains_is_gone_when_its_last_run_has_ended(bus: Bus) -> None:
    cause = await assigned(bus)
    await bus.publisher.publish(about(leaving(drain=True)))
    await bus.say(cause, started(cause, agent_id=NAME))
    await bus.enters(cause.taskid, "running")
    await becomes(bus, "draining")
    await bus.say(cause, finished(cause, agent_id=NAME))
    await becomes(bus, "gone")
    assert await bus.status(cause.taskid) == "succeeded"


async def test_what_is_held_back_from_ending_is_in_nobodys_hands(bus: Bus) -> None:
    other = await bus.submit()
    cause = await bus.submit(depends_on=[{"task_id": other.taskid, "type": "finish_to_finish"}])
    await bus.say(cause, checked(cause))
    for data in (decided(cause), started(cause), finished(cause)):
        await bus.say(cause, data.model_copy(update={"agent_id": NAME}))
    await bus.folded()
    assert await bus.status(cause.taskid) == "running"
    async with Durable.open(DatabaseSettings(database_url=SecretStr(bus.database_url))) as durable, durable.moment():
        assert [page async for page in durable.held()] == []
    await bus.publisher.publish(about(leaving(drain=True)))
    await becomes(bus, "gone")
    await age(bus, "task", "updated_at")
    assert await said_by_the_clock(bus) == []
    await bus.run_through(other)
    await bus.enters(cause.taskid, "succeeded")
    assert await bus.states(cause.taskid) == ["ready", "assigned", "running", "running", "succeeded"]


async def test_an_assignment_that_is_handed_back_costs_no_attempt(bus: Bus) -> None:
    cause = await assigned(bus)
    back = TaskError(code="declined", message="It is leaving.", retryable=True)
    await bus.say(cause, finished(cause, "lost", agent_id=NAME, error=back, output=None))
    assert await attempt(bus, cause) == (2, "declined")
    assert await bus.database.fetchval("SELECT course->>'granted' FROM task WHERE id = $1", cause.taskid) == "1"


async def test_an_agent_loses_no_run_that_another_has_taken_over(bus: Bus) -> None:
    cause = await assigned(bus)
    event = await bus.say(cause, finished(cause, "lost", agent_id="AGENT-OTHER", output=None))
    await bus.folded()
    assert await bus.outcome(event) == "refused:stale_run"
    assert await bus.status(cause.taskid) == "assigned"
