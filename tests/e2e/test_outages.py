"""What still works, and what is said, while a server is stopped, frozen or has lost its store."""

import time
import uuid
from collections.abc import Awaitable, Callable
from functools import partial

import httpx
import pytest

from deploy.local.server import Server
from tests.support.eventually import PATIENCE, eventually
from tests.support.promises import a_promise
from tests.support.stack_follower import Follower
from tests.support.stack_load import TEXT, answered, asking, promised
from tests.support.stack_parts import Parts
from tests.support.stack_proof import Proof

Break = Callable[[Parts, Server], Awaitable[None]]


async def killed(_: Parts, server: Server) -> None:
    await server.kill()


async def frozen(parts: Parts, server: Server) -> None:
    parts.pause(server)


async def post(client: httpx.AsyncClient, **headers: str) -> httpx.Response:
    return await client.post("/api/v1/tasks", json={"prompt": TEXT}, headers=headers)


@pytest.mark.parametrize("breaking", [killed, frozen])
async def test_without_postgres_work_is_accepted_into_the_log_and_done_later(parts: Parts, breaking: Break) -> None:
    async with parts.client(some_owner()) as client:
        await breaking(parts, parts.servers.postgres)
        answers = [await post(client) for _ in range(3)]
        assert {answer.status_code for answer in answers} == {202}
        assert {answer.json()["durability"] for answer in answers} == {"log"}
        assert (await client.get("/readyz")).status_code == 503
        await parts.heal()
    task_ids = {answer.json()["task_id"] for answer in answers}
    async with Proof(parts) as proof:
        await proof.all_end(task_ids)
        assert set(await proof.statuses(task_ids)) == {"succeeded"}
        await proof.every_sequence_is_accounted_for()
        await proof.no_effect_is_doubled(task_ids)


@pytest.mark.parametrize(("breaking", "code"), [(killed, "bus_unavailable"), (frozen, "outcome_unknown")])
async def test_without_nats_work_is_refused_within_two_seconds_and_taken_again_by_itself(
    parts: Parts, breaking: Break, code: str
) -> None:
    key = {"Idempotency-Key": uuid.uuid4().hex}
    async with parts.client(some_owner()) as client, Proof(parts) as proof:
        await breaking(parts, parts.servers.nats)
        began = time.monotonic()
        answer = await post(client, **key)
        assert time.monotonic() - began < 2.0 * PATIENCE
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["Retry-After"]
        assert answer.json()["code"] == code
        assert answer.json()["retryable"] is True
        parts.resume(parts.servers.nats)
        await parts.start("nats")

        async def is_taken() -> httpx.Response | None:
            again = await post(client, **key)
            return again if again.status_code == httpx.codes.ACCEPTED else None

        taken = await eventually(is_taken, within=30, every=0.1)
        assert taken is not None
        task_id = taken.json()["task_id"]
        assert answer.json().get("task_id", task_id) == task_id
        await proof.all_end({task_id})
        await proof.every_sequence_is_accounted_for()
        await proof.no_effect_is_doubled({task_id})


@pytest.mark.timeout(150)
async def test_when_the_log_is_lost_under_load_what_the_database_promised_still_ends(parts: Parts) -> None:
    async with asking(parts, 3, at_once=4) as askers, Proof(parts) as proof:
        await eventually(lambda: len(promised(askers, "log+database")) > 60, within=30)
        await parts.servers.nats.wipe()
        await parts.start("nats")
        reached = len(promised(askers, "log+database"))
        await eventually(lambda: len(promised(askers, "log+database")) > reached + 30, within=40)
        await answered(askers)
        kept = promised(askers, "log+database")
        await proof.all_end(kept, within=60)
        assert set(await proof.statuses(kept)) == {"succeeded"}
        await proof.every_sequence_is_accounted_for()
        await proof.no_effect_is_doubled(kept)
        for asker in askers:
            # The gateway and its sockets live on: the subscriber is told of the gap and is shown how things stand.
            await eventually(partial(_was_told_of_the_gap, asker.live), within=20)
            assert asker.live.connections == 1
            cursors = [seen.cursor for seen in asker.live.seen]
            with a_promise():
                assert len(cursors) == len(set(cursors))
            assert {seen.task_id for seen in asker.live.seen} <= await proof.tasks_of(asker.owner)


def _was_told_of_the_gap(live: Follower) -> bool:
    return {"gap", "snapshot"} <= set(live.kinds)


def some_owner() -> str:
    return f"o-{uuid.uuid4().hex[:12]}"
