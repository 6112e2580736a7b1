"""What the keeper does by the clock about proposals: those nobody decides end, those nobody extracts are driven on."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from uuid import UUID

import pytest

from consumers._feed import Feed
from consumers._runtime import Flow, FlowHandler
from consumers.keeper.rebuild import rebuild
from consumers.proposals import Proposals
from deploy.local.server import Server
from events import (
    Event,
    EventData,
    File,
    ProposalDecide,
    ProposalExtracting,
    ProposalShare,
    RunFiles,
    TaskSpec,
    TaskSubmitted,
    WorkflowControl,
)
from events.ids import new_id
from events.session import SessionSpec
from events.streams import PROPOSALS
from storage.database import DatabaseSettings
from storage.lookup import PostgresLookup
from tests.support.eventually import eventually
from tests.support.running_keeper import Bus, a_bus, checked, decided, finished, named, started


@pytest.fixture
async def bus(module_nats_server: Server, database_url: str) -> AsyncGenerator[Bus]:
    async with a_bus(module_nats_server.url, database_url) as bus:
        yield bus


async def refined(bus: Bus) -> UUID:
    """A refinement whose run has ended; its task."""
    workflow_id, task_id = new_id(), new_id()
    made = WorkflowControl(workflow_id=workflow_id, action="create", by="o", name="Greeter")
    spec = TaskSpec(kind="refinement", prompt="Greet.", workflow_id=workflow_id)
    asked = TaskSubmitted(task_id=task_id, spec=spec, session=SessionSpec(kind="workflow"))
    said = partial(Event.first, source="/gateway", tenant="t", owner="o", session_id=str(workflow_id))
    await bus.publisher.publish(said(made))
    cause = said(asked, task_id=task_id)
    await bus.publisher.publish(cause)
    files = RunFiles.model_validate(
        {**named(cause), "snapshot_seq": 1, "files": {"plan.md": File.of("plan.md", "one\n")}}
    )
    for data in (checked(cause), decided(cause), started(cause), files, finished(cause)):
        await bus.say(cause, data)
    return task_id


async def becomes(bus: Bus, task_id: UUID, status: str) -> None:
    async def has() -> bool:
        found = await bus.database.fetchval("SELECT status FROM proposal WHERE task_id = $1", task_id)
        assert found == status, found
        return True

    await eventually(has, within=30)


async def test_a_proposal_that_was_given_away_and_lost_is_extracted_all_the_same(bus: Bus) -> None:
    await bus.keeper(sweep=True)
    task_id = await refined(bus)
    await becomes(bus, task_id, "extracting")
    lost: list[str] = []
    async with PostgresLookup(DatabaseSettings.model_validate({"database_url": bus.database_url})) as lookup:
        consumer = Proposals(lookup)

        async def forgetful(event: Event[EventData]) -> Sequence[EventData]:
            if not lost:
                assert isinstance(event.data, ProposalExtracting)
                lost.append(event.id)
                return ()
            assert event.resendof == lost[0]
            return await consumer.extract(event)

        async with _fed(bus, forgetful):
            await eventually(lambda: bool(lost))
            for table, column in (("proposal", "updated_at"), ("event_log", "time")):
                await bus.database.execute(f"UPDATE {table} SET {column} = now() - interval '16 s'")  # noqa: S608 - our own names
            await becomes(bus, task_id, "pending")


async def test_a_proposal_that_nobody_decides_expires(bus: Bus) -> None:
    await bus.keeper()
    async with _extracted(bus) as task_id:
        left = await bus.database.fetchval("SELECT expires_at - ready_at FROM proposal")
        assert left.total_seconds() == 24 * 3600
        await bus.database.execute("UPDATE proposal SET expires_at = now() - interval '1 s'")
        await becomes(bus, task_id, "expired")
    await bus.folded()
    assert await bus.database.fetchval("SELECT open_proposals::text FROM workflow") == "[]"


async def test_the_log_gives_the_same_workflows_proposals_and_texts_again(bus: Bus) -> None:
    led = await bus.keeper()
    async with _extracted(bus) as task_id:
        found = await bus.database.fetchrow("SELECT id, workflow_id FROM proposal")
        assert found is not None
        named = {"proposal_id": found["id"], "task_id": task_id, "by": "o"}
        said = partial(Event.first, source="/gateway", tenant="t", owner="o", session_id=str(found["workflow_id"]))
        share = ProposalShare.model_validate({**named, "grantee": "p", "access": "viewer"})
        approve = ProposalDecide.model_validate({**named, "decision": "approve"})
        publish = WorkflowControl(workflow_id=found["workflow_id"], action="publish", by="o")
        for data in (share, approve, publish):
            await bus.publisher.publish(said(data, task_id=None if data is publish else task_id))
        await becomes(bus, task_id, "approved")
    await bus.folded()
    await led.stop()
    report = await rebuild(bus.database_url, swap=False)
    assert report.same, report
    rows = {table.table: table.rows for table in report.tables}
    tables = ("workflow", "workflow_version", "proposal", "proposal_access", "blob")
    assert [rows[table] for table in tables] == [1] * 5


@asynccontextmanager
async def _fed(bus: Bus, handler: FlowHandler) -> AsyncGenerator[None]:
    """With a proposals consumer that runs."""
    running = asyncio.create_task(Feed(bus.client, bus.publisher, Flow(PROPOSALS, handler)).run())
    try:
        yield
    finally:
        running.cancel()


@asynccontextmanager
async def _extracted(bus: Bus) -> AsyncGenerator[UUID]:
    """A refinement whose proposal is pending."""
    async with (
        PostgresLookup(DatabaseSettings.model_validate({"database_url": bus.database_url})) as lookup,
        _fed(bus, Proposals(lookup).extract),
    ):
        task_id = await refined(bus)
        await becomes(bus, task_id, "pending")
        yield task_id
