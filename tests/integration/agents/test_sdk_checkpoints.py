"""What an outside agent keeps by our SDK for the attempts that come after, against the real doors."""

import asyncio
from typing import cast

import httpx
import pytest

from events.base import JsonObject
from events.run import MAX_CHECKPOINT
from events.work import WorkCheckpoint
from producers.agent import Context, Task
from tests.support.agency import Agency
from tests.support.eventually import eventually

pytestmark = pytest.mark.asyncio(loop_scope="package")
NAME = "AGENT-ONE"


async def test_the_next_attempt_goes_on_from_the_last_checkpoint(agency: Agency, alice: httpx.AsyncClient) -> None:
    """Whoever writes one may not know what is private in it: it is kept, and comes back, as policy has it."""
    given: list[tuple[int, WorkCheckpoint | None]] = []

    async def climb(task: Task, ctx: Context) -> dict[str, object]:
        given.append((task.attempt, task.checkpoint))
        if task.checkpoint is None:
            await ctx.checkpoint({"step": 1, "ssn": "536-90-4399"}, "half way")
            await asyncio.Event().wait()
        return {"went_on": True}

    await agency.start(NAME, climb)
    task_id = await agency.submit(alice)
    kept = "SELECT count(*) FROM task_checkpoint"
    await eventually(lambda: agency.doorstep.bus.database.fetchval(kept), within=15)
    for command in ("pause", "resume"):
        (await alice.post(f"/api/v1/tasks/{task_id}/{command}")).raise_for_status()
    task = await agency.becomes(alice, task_id, "succeeded")
    assert (task["result"], task["attempt"]) == ({"went_on": True}, 2)
    data: JsonObject = {"step": 1, "ssn": "[SSN_1]"}
    assert given == [(1, None), (2, WorkCheckpoint(seq=1, note="half way", data=data))]


async def test_a_checkpoint_that_is_too_large_fails_the_task(agency: Agency, alice: httpx.AsyncClient) -> None:
    async def hoard(task: Task, ctx: Context) -> None:
        await ctx.checkpoint({"x": "y" * MAX_CHECKPOINT})

    await agency.start(NAME, hoard)
    task = await agency.becomes(alice, await agency.submit(alice), "failed")
    error = cast("JsonObject", task["error"])
    assert (error["code"], error["retryable"]) == ("output_too_large", False)
