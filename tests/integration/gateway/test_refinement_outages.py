"""Refinements while parts of Ganglion are away."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from deploy.local.server import Server
from gateway.workflows.models import Proposal
from tests.support.desk import Desk, a_desk, texts
from tests.support.eventually import eventually

ONE = {"plan.md": "one\n"}


@pytest.fixture
async def broken(module_nats_server: Server, database_url: str) -> AsyncGenerator[Desk]:
    """A desk of this test's own, to take the keeper from."""
    async with a_desk(module_nats_server.url, database_url) as desk:
        yield desk


async def test_a_proposal_is_readable_at_once_and_decisions_wait_though_no_keeper_is_there(broken: Desk) -> None:
    workflow_id = await broken.workflow(ONE)
    waiting = await broken.proposed(workflow_id, {"plan.md": "two\n"})
    await broken.keeper.stop()
    patient = asyncio.create_task(broken.ask(workflow_id, {"Idempotency-Key": "patient", "Prefer": "wait=60"}))
    thread = await broken.refine(workflow_id, {"Idempotency-Key": "patient"})
    found = await thread.get()
    assert Proposal.model_validate(found).base_version is None
    assert (found["status"], found["thread_id"], found["user_prompt"]) == (
        "processing",
        str(thread.id),
        "Greet in French.",
    )
    assert (await broken.client("mallory").get(thread.url)).status_code == 404
    kept = await broken.alice.post(f"{waiting.url}/approve")
    assert (kept.status_code, kept.json()["id"]) == (202, waiting.proposal_id)
    await broken.bus.keeper()
    await eventually(lambda: _is_approved(broken, waiting.url), within=20)
    assert await broken.draft(workflow_id) == {"plan.md": "two\n"}
    await thread.run([ONE])  # it was asked for before the draft moved
    assert texts(await thread.becomes("superseded")) == ONE
    assert ((await patient).status_code, (await patient).json()) == (200, await thread.get())


async def _is_approved(desk: Desk, url: str) -> bool:
    return bool((await desk.alice.get(url)).json()["resolution"] == "approved")
