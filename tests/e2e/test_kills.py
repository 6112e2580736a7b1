"""kill -9 at the worst moments. Each test kills one process at an exact point and then looks only from outside.

A shared proof follows each kill: one terminal state, no effect twice, every sequence accounted for, and a socket that
resumed saw each state event exactly once and in order.
"""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest

from events.streams import ROUTER, Durable
from producers.connect import BusSettings, Connection
from tests.support import kill_points as points
from tests.support.called_agent import Called, Reply, called_agent, completed
from tests.support.eventually import eventually
from tests.support.promises import a_promise
from tests.support.stack_follower import Follower
from tests.support.stack_parts import Parts
from tests.support.stack_proof import Proof

TEXT = "Summarise: the pump failed at noon. The spare was fitted at one. Output is back to normal."
TASKS = 6


@dataclass
class Load:
    """Some tasks of one owner, and the subscriber who watches them from before the first to after the last."""

    owner: str
    client: httpx.AsyncClient
    live: Follower
    task_ids: set[str] = field(default_factory=set)
    durabilities: list[str] = field(default_factory=list)

    async def submit(self, count: int = TASKS) -> None:
        """All at once; who was not committed because the keeper died is told so, and is not forgotten."""
        answers = await asyncio.gather(
            *(self.client.post("/api/v1/tasks", json={"prompt": f"{TEXT} ({number})"}) for number in range(count))
        )
        for answer in answers:
            assert answer.status_code == 202, answer.text
            self.task_ids.add(str(answer.json()["task_id"]))
            self.durabilities.append(str(answer.json()["durability"]))


@asynccontextmanager
async def load_on(parts: Parts) -> AsyncGenerator[Load]:
    """A load whose outcome is proved when the block ends."""
    owner = f"o-{uuid.uuid4().hex[:12]}"
    async with parts.client(owner) as client, parts.follower(owner) as live:
        load = Load(owner, client, live)
        yield load
        async with Proof(parts) as proof:
            await proof.all_end(load.task_ids)
            assert set(await proof.statuses(load.task_ids)) == {"succeeded"}
            await live.until_final(load.task_ids)
            await proof.every_sequence_is_accounted_for()
            await proof.no_effect_is_doubled(load.task_ids)
            await proof.was_seen_once_in_order(live, load.task_ids)
            with a_promise():
                assert {one.task_id for one in live.seen} == load.task_ids


async def killed_at(parts: Parts, load: Load, point: str, role: str, work: Callable[[], Awaitable[None]]) -> None:
    """Do the work while the role dies at the point and is started again; the subscriber is away meanwhile."""
    parts.points.arm(point)
    working = asyncio.ensure_future(work())
    await parts.died(role)
    assert not parts.points.is_armed(point)
    async with load.live.away():
        await parts.start(role)
        await working


async def test_what_the_keeper_committed_is_accepted_though_it_died_before_announcing(parts: Parts) -> None:
    async with load_on(parts) as load:
        await killed_at(parts, load, points.BEFORE_ANNOUNCE, "keeper", lambda: load.submit(1))
        assert load.durabilities == ["log+database"]
        await load.submit()


async def test_a_state_that_was_committed_is_published_by_the_next_keeper(parts: Parts) -> None:
    async with load_on(parts) as load:
        await killed_at(parts, load, points.BEFORE_PUBLISH, "keeper", load.submit)


async def test_a_state_that_was_announced_is_published_by_the_next_keeper(parts: Parts) -> None:
    async with load_on(parts) as load:
        await killed_at(parts, load, points.AFTER_ANNOUNCE, "keeper", load.submit)


async def test_a_state_that_was_published_is_not_published_again_by_the_next_keeper(parts: Parts) -> None:
    async with load_on(parts) as load:
        await killed_at(parts, load, points.AFTER_PUBLISH, "keeper", load.submit)


async def test_a_reflex_that_published_and_did_not_acknowledge_has_no_effect_twice(parts: Parts) -> None:
    async with load_on(parts) as load, Proof(parts) as proof:
        before = await proof.repeats()
        await killed_at(parts, load, points.REFLEX_BEFORE_ACK, "reactors", load.submit)
        # The message comes again and is answered again: that answer is in the log, and it changed nothing.
        await eventually(lambda: _more(proof, before), within=20, every=0.1)


async def test_a_router_that_published_and_did_not_acknowledge_has_no_effect_twice(parts: Parts) -> None:
    async with load_on(parts) as load:
        await killed_at(parts, load, points.ROUTER_BEFORE_ACK, "reactors", load.submit)
        # The message comes again; it is answered again only if the task has not ended meanwhile.
        await eventually(lambda: _all_acknowledged(parts, ROUTER), within=20, every=0.1)


async def test_an_attempt_that_died_with_its_runner_is_lost_and_the_next_one_succeeds(parts: Parts) -> None:
    async with load_on(parts) as load:
        parts.points.arm(points.AGENT_HANGS)
        await load.submit()
        await eventually(lambda: len(load.live.ended & load.task_ids) == TASKS - 1, within=20)
        (hanging,) = load.task_ids - load.live.ended
        await eventually(lambda: load.live.names(hanging)[-1] == "task.running")
        async with load.live.away():
            await parts.kill("runner")
            await parts.start("runner")
    async with Proof(parts) as proof:
        assert await proof.runs(hanging) == [(1, "lost"), (2, "succeeded")]


async def test_a_call_whose_process_died_is_made_again_and_what_the_agent_did_is_done_once(parts: Parts) -> None:
    """The agent is of outside and called; it does a task once, however often it is asked for it."""
    done: dict[str, str] = {}
    going_on, tasks = asyncio.Event(), set[str]()

    async def works(called: Called) -> Reply:
        task_id = str(called.task["task_id"])
        done.setdefault(task_id, called.headers["webhook-id"])
        await going_on.wait()
        return completed(called, output_data={"text": done[task_id]})

    async with (
        load_on(parts) as load,
        parts.client(load.owner, scopes=("agents:write", "tasks:read")) as registrar,
        called_agent(works) as agent,
    ):
        body = {"name": "AGENT-CALLED", "capabilities": ["push-me"], "endpoint_url": agent.url}
        assert (await registrar.post("/api/v1/agents", json=body)).status_code == 201
        asked = {"prompt": TEXT, "required_capabilities": ["push-me"]}
        for _ in range(2):
            load.task_ids.add((await load.client.post("/api/v1/tasks", json=asked)).json()["task_id"])
        tasks |= load.task_ids
        await eventually(lambda: len(agent.calls) == 2 and all(_runs(load, one) for one in tasks), within=20)
        async with load.live.away():
            await parts.kill("reactors")
            await eventually(lambda: agent.dropped == 2)
            going_on.set()
            await parts.start("reactors")
        await eventually(lambda: load.live.ended >= tasks, within=40)
        record = (await registrar.get("/api/v1/agents/AGENT-CALLED/performance")).json()
        assert (record["successful_tasks"], record["failed_tasks"]) == (2, 0)  # that we died is not its fault
        assert (await registrar.delete("/api/v1/agents/AGENT-CALLED")).status_code == 200
    async with Proof(parts) as proof:
        for task_id in tasks:
            assert await proof.runs(task_id) == [(1, "lost"), (2, "succeeded")]
            calls = [call for call in agent.calls if call.task["task_id"] == task_id]
            assert len(calls) == len({call.headers["webhook-id"] for call in calls}) == 2
    assert set(done) == tasks


def _runs(load: Load, task_id: str) -> bool:
    return "task.running" in load.live.names(task_id)


async def test_a_request_whose_gateway_died_after_the_publish_is_one_task_for_whoever_repeats_it(parts: Parts) -> None:
    async with load_on(parts) as load:
        body, key = {"prompt": TEXT}, {"Idempotency-Key": uuid.uuid4().hex}
        parts.points.arm(points.GATEWAY_AFTER_ACK)
        with pytest.raises(httpx.TransportError):
            await load.client.post("/api/v1/tasks", json=body, headers=key)
        await parts.died("gateway")
        await parts.start("gateway")
        await parts.ready()
        answer = await load.client.post("/api/v1/tasks", json=body, headers=key)
        assert answer.status_code == 202
        assert answer.headers["Idempotency-Replayed"] == "true"
        load.task_ids.add(answer.json()["task_id"])
        listed = (await load.client.get("/api/v1/tasks")).json()["items"]
        assert [task["task_id"] for task in listed] == [answer.json()["task_id"]]
        await eventually(lambda: load.live.connections > 1, within=20)


async def test_a_request_without_a_key_whose_gateway_died_after_the_publish_still_runs(parts: Parts) -> None:
    async with load_on(parts) as load:
        parts.points.arm(points.GATEWAY_AFTER_ACK)
        with pytest.raises(httpx.TransportError):
            await load.client.post("/api/v1/tasks", json={"prompt": TEXT})
        await parts.died("gateway")
        await parts.start("gateway")
        await parts.ready()
        listed = (await load.client.get("/api/v1/tasks")).json()["items"]
        load.task_ids |= {task["task_id"] for task in listed}
        assert len(load.task_ids) == 1


async def _all_acknowledged(parts: Parts, durable: Durable) -> bool:
    async with Connection(BusSettings.model_validate({"nats_url": parts.servers.nats_url}), "test") as client:
        info = await client.jetstream().consumer_info(durable.stream, durable.name)
    return not info.num_pending and not info.num_ack_pending


async def _more(proof: Proof, before: int) -> bool:
    return await proof.repeats() > before
