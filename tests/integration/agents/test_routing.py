"""Routing end to end: why a task waits, what wakes it, who gets it, and what a fallen or forgetful Redis costs."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import httpx
import orjson
import pytest
from pydantic import JsonValue
from redis.asyncio import Redis

from events import Event, EventData
from events.codec import decode_structured
from events.plan import TaskDecompose, TaskUndecomposed
from events.streams import PLANNER
from events.task import TaskError
from producers.agent import AgentError, Context, Task
from tests.support.agency import Agency, Json
from tests.support.eventually import eventually

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def echo(task: Task, ctx: Context) -> str:
    return task.prompt


class Gate:
    """A handler that waits until it is opened."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.order: list[str] = []

    async def work(self, task: Task, _: Context) -> str:
        self.order.append(task.prompt)
        await self.opened.wait()
        return task.prompt


async def waits(agency: Agency, http: httpx.AsyncClient, task_id: str, reason: str) -> None:
    async def so() -> bool:
        task = await agency.task(http, task_id)
        assert (task["status"], task["waiting_for"]) == ("ready", f"agent: {reason}"), task
        return True

    await eventually(so, within=15)


async def routes(agency: Agency, task_id: str) -> list[Json]:
    """What the router said of a task, without duplicates that the keeper dropped."""
    said = {str(one["id"]): one for one in await agency.said(task_id) if str(one["type"]).split(".")[2] == "route"}
    return [dict(one["data"], type=str(one["type"]).split(".")[3]) for one in said.values()]  # type: ignore[arg-type]  # JSON


async def test_a_task_waits_for_a_capability_and_is_routed_when_an_agent_comes_that_has_it(
    agency: Agency, alice: httpx.AsyncClient
) -> None:
    task_id = await agency.submit(alice, required_capabilities=["juggle"])
    await waits(agency, alice, task_id, "no_capability")
    await agency.start("AGENT-J", echo, capabilities=["juggle"])
    await agency.becomes(alice, task_id, "succeeded")
    failed, decided = await routes(agency, task_id)
    assert (failed["type"], failed["reason"]) == ("failed", "no_capability")
    assert (decided["type"], decided["agent_id"]) == ("decided", "AGENT-J")
    assert decided["reason"] == "a slot became free while the task waited"


async def test_a_busy_agent_is_given_the_next_one_the_moment_it_is_free_by_priority_and_age(
    agency: Agency, alice: httpx.AsyncClient
) -> None:
    gate = Gate()
    await agency.start("AGENT-ONE", gate.work)
    first = await agency.submit(alice, "first")
    await agency.becomes(alice, first, "running")
    names: list[tuple[str, JsonValue]] = [
        ("low", "low"),
        ("normal", "normal"),
        ("later", "normal"),
        ("urgent", "critical"),
    ]
    tasks = {}
    for prompt, priority in names:
        tasks[prompt] = await agency.submit(alice, prompt, priority=priority)
        await waits(agency, alice, tasks[prompt], "all_busy")
    gate.opened.set()
    for task_id in tasks.values():
        await agency.becomes(alice, task_id, "succeeded")
    assert gate.order == ["first", "urgent", "normal", "later", "low"]
    failed, _ = await routes(agency, tasks["low"])
    assert {one["agent_id"]: one["excluded"] for one in failed["candidates"]} == {"AGENT-ONE": "busy 1/1"}  # type: ignore[union-attr,index,call-overload]  # JSON


async def test_every_decision_names_the_candidates_their_parts_and_who_was_excluded(
    agency: Agency, alice: httpx.AsyncClient
) -> None:
    await agency.start("AGENT-A", echo, capabilities=["answer", "sum"])
    await agency.start("AGENT-B", echo, capabilities=["sum"])
    await agency.start("AGENT-C", echo, capabilities=["other"])
    routing: Json = {"preferred_agent_ids": ["AGENT-B"], "avoid_technologies": ["php"]}
    task_id = await agency.submit(alice, required_capabilities=["sum"], routing=routing)
    await agency.becomes(alice, task_id, "succeeded")
    (decided,) = await routes(agency, task_id)
    candidates: dict[str, Json] = {one["agent_id"]: one for one in decided["candidates"]}  # type: ignore[union-attr,index,call-overload,misc]  # JSON
    assert decided["agent_id"] == "AGENT-B"
    assert set(candidates) == {"AGENT-A", "AGENT-B", "AGENT-C"}
    assert candidates["AGENT-C"]["excluded"] == "lacks sum"
    parts = candidates["AGENT-A"]["parts"]
    assert isinstance(parts, dict)
    assert set(parts) == {"quality", "capability", "idle", "technology", "preference"}
    assert decided["score"] == candidates[str(decided["agent_id"])]["score"]
    assert decided["reason"] == "the best score of 2 with room"


async def test_a_task_that_nobody_takes_fails_as_unroutable_at_its_deadline(
    agency: Agency, alice: httpx.AsyncClient
) -> None:
    deadline = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
    task_id = await agency.submit(alice, required_capabilities=["nobody"], deadline_at=deadline)
    task = await agency.becomes(alice, task_id, "failed")
    assert task["reason"] == "unroutable"
    await agency.start("AGENT-LATE", echo, capabilities=["nobody"])
    assert (await agency.task(alice, task_id))["status"] == "failed"


async def test_a_task_that_is_divided_while_it_waits_in_line_is_routed_when_it_is_ready_again(
    agency: Agency, alice: httpx.AsyncClient
) -> None:
    async def no_plan(event: Event[EventData]) -> Sequence[EventData]:
        assert isinstance(event.data, TaskDecompose)
        error = TaskError(code="no_plan", message="Nothing to divide.")
        return [TaskUndecomposed(task_id=event.data.task_id, plan_id=event.data.plan_id, error=error)]

    await agency.feed(await agency.client(), PLANNER, no_plan)
    gate = Gate()
    await agency.start("AGENT-D", gate.work)
    first = await agency.submit(alice, "first")
    await agency.becomes(alice, first, "running")
    second = await agency.submit(alice, "second")
    await waits(agency, alice, second, "all_busy")
    assert (await alice.post(f"/api/v1/tasks/{second}/decompose", json={})).status_code in (200, 202)
    await agency.becomes(alice, second, "ready")
    gate.opened.set()
    await agency.becomes(alice, second, "succeeded")


async def test_a_task_that_is_cancelled_while_it_waits_is_given_to_nobody(
    agency: Agency, alice: httpx.AsyncClient
) -> None:
    gate = Gate()
    await agency.start("AGENT-ONE", gate.work)
    running, waiting, last = [await agency.submit(alice, prompt) for prompt in ("running", "waiting", "last")]
    await waits(agency, alice, last, "all_busy")
    await alice.post(f"/api/v1/tasks/{waiting}/cancel")
    gate.opened.set()
    for task_id in (running, last):
        await agency.becomes(alice, task_id, "succeeded")
    assert gate.order == ["running", "last"]


async def test_an_agent_of_one_tenant_never_sees_a_task_of_another(agency: Agency, alice: httpx.AsyncClient) -> None:
    await agency.start("AGENT-OTHER", echo, tenant="other")
    task_id = await agency.submit(alice)
    await waits(agency, alice, task_id, "no_capability")
    failed = (await routes(agency, task_id))[0]
    assert "AGENT-OTHER" not in str(failed)


async def test_five_failures_open_the_breaker_and_a_task_waits_with_that_reason_until_a_probe_goes_well(
    agency: Agency, alice: httpx.AsyncClient
) -> None:
    """A degraded agent recovers: the origin gave it no work, so it never could."""

    async def moody(task: Task, ctx: Context) -> str:
        if task.prompt == "bad":
            raise AgentError("No.")
        return "good"

    await agency.start("AGENT-MOODY", moody)
    for _ in range(5):
        await agency.becomes(alice, await agency.submit(alice, "bad"), "failed")
    task_id = await agency.submit(alice, "good")
    await waits(agency, alice, task_id, "all_open")
    shown = await _agent(alice, "AGENT-MOODY", breaker="open")
    assert (shown["performance_tier"], shown["is_available"]) == ("degraded", False)
    redis = Redis.from_url(agency.redis_url)
    await redis.hincrby("ganglion:agents:agent:acme/AGENT-MOODY", "opened_at", -60_000)  # a minute later
    await redis.aclose()
    async with agency.http(scopes=("admin",)) as admin:
        assert (await admin.post("/api/v1/agents/AGENT-MOODY/heartbeat")).status_code == 204
    await agency.becomes(alice, task_id, "succeeded")
    for _ in range(2):
        await agency.becomes(alice, await agency.submit(alice, "good"), "succeeded")
    await _agent(alice, "AGENT-MOODY", breaker="closed")
    told = await changes(agency, "AGENT-MOODY")
    assert [word for word in told if "breaker" in word][:1] == ["breaker closed -> open"]
    assert "breaker half_open -> closed" in told
    assert any("tier competent -> trainee" in word or "tier competent -> degraded" in word for word in told)


async def _agent(http: httpx.AsyncClient, name: str, **shown: str) -> Json:
    found: Json = {}

    async def so() -> bool:
        found.update((await http.get(f"/api/v1/agents/{name}")).json())
        assert {key: found[key] for key in shown} == shown, found
        return True

    await eventually(so, within=15)
    return found


async def changes(agency: Agency, name: str) -> list[str]:
    """Why agent.changed was said, change by change."""
    await agency.doorstep.bus.folded()
    query = "SELECT body FROM event_log WHERE type = 'io.ganglion.agent.changed.v1' ORDER BY seq"
    said = [orjson.loads(row["body"]) for row in await agency.doorstep.bus.database.fetch(query)]
    whys = [str(one["data"]["why"]) for one in said if one["subject"] == name]
    return [part for why in whys for part in why.split(", ")]


async def test_a_lost_redis_costs_no_task_and_no_slot(agency: Agency, alice: httpx.AsyncClient) -> None:
    gate = Gate()
    await agency.start("AGENT-ONE", gate.work, slots=2)
    tasks = [await agency.submit(alice, f"task {n}") for n in range(6)]
    for task_id in tasks[:2]:
        await agency.becomes(alice, task_id, "running")
    await waits(agency, alice, tasks[5], "all_busy")
    redis = Redis.from_url(agency.redis_url)
    await redis.flushall()
    tasks.append(await agency.submit(alice, "after the loss"))
    await waits(agency, alice, tasks[6], "all_busy")
    assert await redis.zcard("ganglion:agents:leases:acme/AGENT-ONE") == 2
    gate.opened.set()
    for task_id in tasks:
        await agency.becomes(alice, task_id, "succeeded")
    assert Counter(gate.order) == Counter([f"task {n}" for n in range(6)] + ["after the loss"])

    async def free() -> bool:
        return await redis.zcard("ganglion:agents:leases:acme/AGENT-ONE") == 0

    await eventually(free, within=10)
    await redis.aclose()


async def test_a_task_that_ended_before_redis_was_lost_takes_no_slot_when_its_ready_comes_again(
    agency: Agency, alice: httpx.AsyncClient
) -> None:
    """As it does from a router that had it in hand: the state that was built anew does not know that it is over."""
    await agency.start("AGENT-ONE", echo)
    done = await agency.submit(alice, "done")
    await agency.becomes(alice, done, "succeeded")
    redis = Redis.from_url(agency.redis_url)
    await redis.flushall()
    bus = agency.doorstep.bus
    query = "SELECT body FROM event_log WHERE task_id = $1 AND type LIKE '%.task.ready.%'"
    await bus.again(decode_structured(await bus.database.fetchval(query, done)))
    new = await agency.submit(alice, "new")
    await agency.becomes(alice, new, "succeeded")
    await bus.folded()
    assert await redis.zcard("ganglion:agents:leases:acme/AGENT-ONE") == 0
    await redis.aclose()
