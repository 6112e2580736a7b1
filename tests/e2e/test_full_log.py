"""A log at its limit: new work is refused, what is under way ends, and everything goes on by itself."""

import asyncio
import uuid
from collections.abc import AsyncGenerator

import httpx
import pytest

from tests.support.eventually import eventually
from tests.support.running_keeper import connect
from tests.support.stack_parts import Parts, running_parts
from tests.support.stack_proof import Proof

LIMIT = 4 * 1024 * 1024
PROMPT = "Summarise: the lift stopped on floor three. " + "Two people waited for an hour. " * 600


@pytest.fixture
async def small() -> AsyncGenerator[Parts]:
    """A stack whose log holds 4 MiB."""
    async with running_parts({"GANGLION_LOG_MAX_BYTES": str(LIMIT)}) as parts:
        yield parts


async def flooded(client: httpx.AsyncClient) -> tuple[set[str], httpx.Response]:
    """Ask until the first refusal: the tasks that were accepted, and that answer."""
    accepted: set[str] = set()
    while True:
        for answer in await asyncio.gather(*(client.post("/api/v1/tasks", json={"prompt": PROMPT}) for _ in range(8))):
            if answer.status_code != httpx.codes.ACCEPTED:
                return accepted, answer
            accepted.add(answer.json()["task_id"])


async def test_a_full_log_refuses_new_work_finishes_the_rest_and_makes_room_by_itself(small: Parts) -> None:
    async with small.client(f"o-{uuid.uuid4().hex[:12]}") as client, Proof(small) as proof:
        await small.kill("runner")  # nothing ends: what it has not read may not be purged
        accepted, refused = await flooded(client)
        assert refused.status_code == httpx.codes.SERVICE_UNAVAILABLE, refused.text
        assert refused.json()["code"] == "log_full"
        assert int(refused.headers["Retry-After"]) >= 1
        nats = await connect(small.servers.nats_url)
        used = (await nats.jetstream().stream_info("BUS")).state.bytes
        assert 0.8 * LIMIT <= used < 0.95 * LIMIT  # the rest is for what is under way
        some = next(iter(accepted))
        assert (await client.post(f"/api/v1/tasks/{some}/cancel")).status_code == httpx.codes.OK
        await small.start("runner")
        await proof.all_end(accepted)

        async def is_taken() -> httpx.Response | None:
            answer = await client.post("/api/v1/tasks", json={"prompt": PROMPT}, headers={"Prefer": "wait=10"})
            return answer if answer.status_code == httpx.codes.OK else None

        later = await eventually(is_taken, within=20, every=0.2)
        assert later is not None
        assert later.json()["status"] == "succeeded"
        assert (await nats.jetstream().stream_info("BUS")).state.first_seq > 1
        await nats.close()
        assert sorted(set(await proof.statuses(accepted))) == ["cancelled", "succeeded"]
        history = await client.get(f"/api/v1/tasks/{some}/events")
        assert [event["event"] for event in history.json()["items"]][:2] == ["task.submitted", "task.checked"]
        await proof.every_sequence_is_accounted_for()
        await proof.no_effect_is_doubled(accepted)
