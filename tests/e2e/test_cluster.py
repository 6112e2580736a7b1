"""Three NATS nodes keep every event three times: one dies under load, and nobody notices but the operator."""

import asyncio
import os
import signal
import uuid
from collections.abc import AsyncGenerator

import httpx
import pytest
import pytest_asyncio

from producers.connect import BusSettings, Connection
from tests.support.eventually import PATIENCE, eventually
from tests.support.processes import freeze
from tests.support.stack import Stack, running_stack

TEXT = {"prompt": "Summarise: the lift stopped on floor three. Two people waited. The engineer came after an hour."}


TASKS = 60

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(300),  # three nodes and all else begin in 10 s here, and in four times that beside other tests
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack() -> AsyncGenerator[Stack]:
    async with running_stack({"GANGLION_NATS_NODES": "3"}) as stack:
        assert {"nats", "nats-2", "nats-3"} <= set(stack.runtime.pids)
        yield stack


async def test_the_death_of_the_leader_costs_no_accepted_task_and_heals_by_itself(stack: Stack) -> None:
    async with stack.client() as client:
        leader = await _leader(stack)
        asking = asyncio.create_task(_ask(client, TASKS))
        await asyncio.sleep(0.5)
        await stack.kill(leader)
        accepted = await asking
        assert len(accepted) == TASKS
        await eventually(lambda: _all_succeeded(client, accepted), within=90, every=0.2)
        assert await eventually(lambda: _leader(stack), within=40, every=0.2)


async def test_a_leader_that_hangs_is_done_without(stack: Stack) -> None:
    """Nobody restarts it: with one copy of the log nothing would be taken until it wakes up."""
    async with stack.client() as client:
        leader = stack.runtime.pids[await eventually(lambda: _leader(stack), within=40, every=0.2)]
        assert leader is not None
        freeze([leader])
        try:
            async with asyncio.timeout(PATIENCE * 30):
                accepted = await _ask(client, 5)
            await eventually(lambda: _all_succeeded(client, accepted), within=60, every=0.2)
        finally:
            os.kill(leader, signal.SIGCONT)


async def _ask(client: httpx.AsyncClient, count: int) -> set[str]:
    """So many tasks, a few milliseconds apart, each asked for until it is accepted."""
    accepted = set()
    for _ in range(count):
        accepted.add(await _accepted(client, uuid.uuid4().hex))
        await asyncio.sleep(0.01)
    return accepted


async def _accepted(client: httpx.AsyncClient, key: str) -> str:
    while True:
        answer = await client.post("/api/v1/tasks", json=TEXT, headers={"Idempotency-Key": key})
        if answer.status_code == httpx.codes.ACCEPTED:
            return str(answer.json()["task_id"])
        assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE, answer.text
        await asyncio.sleep(0.1)


async def _all_succeeded(client: httpx.AsyncClient, left: set[str]) -> bool:
    """Whether nothing is `left`: each that has succeeded is taken out and not asked for again."""
    for task_id in sorted(left):
        answer = await client.get(f"/api/v1/tasks/{task_id}")
        assert answer.status_code == httpx.codes.OK, answer.text
        assert answer.json()["status"] == "succeeded", f"{len(left)} left; {task_id}: {answer.text}"
        left.remove(task_id)
    return True


async def _leader(stack: Stack) -> str:
    """The node that leads BUS, once all three have it."""
    settings = BusSettings.model_validate({"nats_url": stack.runtime.nats_url})
    async with Connection(settings, "test") as client:
        info = await client.jetstream().stream_info("BUS")
    assert info.config.num_replicas == 3
    assert info.cluster is not None
    assert len(info.cluster.replicas or []) == 2
    assert info.cluster.leader
    return info.cluster.leader
