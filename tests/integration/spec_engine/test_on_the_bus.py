"""Refinements under the real runtime and keeper: waiting is seen, nothing is used up by it, and the cleanup comes."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from pydantic import SecretStr

from consumers._engine.client import SpecEngineClient
from consumers._feed import Feed
from consumers._runtime import Flow, Slots
from consumers.engine_cleanup import EngineCleanup
from consumers.proposals import Proposals
from consumers.spec_engine import SpecEngine
from deploy.local.server import Server
from events.agent import ENGINE_AGENT
from events.base import Event, EventData
from events.ids import derived_id, new_id
from events.proposal import ProposalDecide
from events.route import RouteDecided
from events.streams import ENGINE_CLEANUP, PROPOSALS, SPEC_ENGINE
from events.task import TaskSpec, TaskSubmitted
from events.workflow import WorkflowControl
from producers.topology import consumer_config
from storage.database import DatabaseSettings
from storage.lookup import PostgresLookup
from tests.support.eventually import eventually
from tests.support.refinements import engine_settings
from tests.support.running_keeper import Bus, a_bus, checked
from tests.support.stub_engine import END, StubEngine, snapshot, state, stub_engine

WAIT = 0.9
FILES = {"/THE_SPEC/plan.md": "# Plan", "/definition.json": "{}"}


@pytest.fixture
async def bus(module_nats_server: Server, database_url: str) -> AsyncGenerator[Bus]:
    async with a_bus(module_nats_server.url, database_url) as bus:
        await bus.keeper()
        for durable in (SPEC_ENGINE, ENGINE_CLEANUP):
            await bus.client.jetstream().add_consumer("BUS", consumer_config(replace(durable, ack_wait=WAIT)))
        yield bus


@asynccontextmanager
async def consumers(bus: Bus, engine: StubEngine) -> AsyncGenerator[None]:
    """A process with the three consumers of a refinement; leaving is its sudden death."""
    settings = engine_settings(engine.url)
    database = DatabaseSettings(database_url=SecretStr(bus.database_url))
    async with PostgresLookup(database) as lookup, SpecEngineClient(settings) as client:
        runs = SpecEngine(client, lookup, settings)
        cleanup = EngineCleanup(client, lookup, pauses=(0.05, 0.1))

        async def nothing() -> None: ...

        beating = {durable.name: replace(durable, ack_wait=WAIT) for durable in (SPEC_ENGINE, ENGINE_CLEANUP)}
        await runs.stops.listen(bus.client)
        feeds = [
            Feed(bus.client, bus.publisher, consumer)
            for consumer in (
                Slots(beating[SPEC_ENGINE.name], runs.run, nothing),
                Slots(beating[ENGINE_CLEANUP.name], cleanup.clean, nothing),
                Flow(PROPOSALS, Proposals(lookup).extract),
            )
        ]
        tasks = {asyncio.create_task(feed.run()) for feed in feeds}
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


async def refinement(bus: Bus) -> Event[EventData]:
    """A refinement of a new workflow, assigned."""
    workflow_id, task_id = new_id(), new_id()
    create = WorkflowControl(workflow_id=workflow_id, action="create", by="o", name="w")
    await bus.publisher.publish(Event.first(create, source="/gateway", tenant="t", owner="o"))
    spec = TaskSpec(kind="refinement", prompt="Plan it.", workflow_id=workflow_id)
    data = TaskSubmitted(task_id=task_id, spec=spec)
    cause = Event.first(data, source="/gateway", tenant="t", owner="o", task_id=task_id)
    await bus.publisher.publish(cause)
    await bus.say(cause, checked(cause))
    route = RouteDecided(task_id=task_id, attempt=1, agent_id=ENGINE_AGENT, score=1.0, reason="its kind")
    await bus.say(cause, route)
    return cause


async def deliveries(bus: Bus, durable: str) -> tuple[int, int]:
    """How many messages are in hand, and how many of them came again."""
    info = await bus.client.jetstream().consumer_info("BUS", durable)
    return info.num_ack_pending or 0, info.num_redelivered or 0


async def test_a_refinement_outlasts_an_absent_engine_and_a_dead_consumer_and_is_cleaned_up_after(bus: Bus) -> None:
    async with stub_engine() as engine:
        engine.is_ready = False
        engine.streams, engine.state = [[snapshot(FILES), END]], state("completed", FILES)
        async with consumers(bus, engine):
            cause = await refinement(bus)
            row = "SELECT status, reason, attempt FROM task WHERE id = $1"

            async def waits() -> bool:
                found = await bus.database.fetchrow(row, cause.taskid)
                return found is not None and tuple(found) == ("assigned", "engine_unavailable", 1)

            await eventually(waits, within=15)
            began = time.monotonic()
            await eventually(lambda: time.monotonic() - began > 2 * WAIT, within=30)
            assert await deliveries(bus, SPEC_ENGINE.name) == (1, 0)
        engine.is_ready = True
        engine.cleaned = lambda: (503, {})
        async with consumers(bus, engine):
            await bus.enters(cause.taskid, "succeeded")
            found = await bus.database.fetchrow(row, cause.taskid)
            assert found is not None
            assert tuple(found) == ("succeeded", None, 1)
            assert len(engine.jobs) == 1

            async def pending() -> bool:
                query = "SELECT status FROM proposal WHERE task_id = $1"
                return bool(await bus.database.fetchval(query, cause.taskid) == "pending")

            await eventually(pending, within=15)
            assert cause.taskid is not None
            decision = ProposalDecide(
                proposal_id=derived_id(cause.taskid, "proposal"), task_id=cause.taskid, decision="reject", by="o"
            )
            await bus.say(cause, decision, source="/gateway")
            await eventually(lambda: len(engine.cleanups) >= 3, within=15)
        engine.cleaned = lambda: (204, {})
        tried = len(engine.cleanups)
        async with consumers(bus, engine):
            await eventually(lambda: len(engine.cleanups) == tried + 1, within=15)

            async def settled() -> bool:
                return await deliveries(bus, ENGINE_CLEANUP.name) == (0, 0)

            await eventually(settled, within=15)
        assert set(engine.cleanups) == {str(cause.taskid)}
