"""Changing the course of tasks on a whole stack: how quickly it is entered, how quickly an agent hears of it."""

import asyncio
import os
import signal
import uuid
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
import httpx
import pytest
from pydantic import JsonValue

from events.task import STATE_EVENTS
from tests.support import kill_points as points
from tests.support.eventually import eventually
from tests.support.stack_load import TEXT
from tests.support.stack_parts import Parts

Json = dict[str, JsonValue]


@dataclass
class Owner:
    """Somebody with tasks."""

    parts: Parts
    http: httpx.AsyncClient
    database: "asyncpg.Connection[asyncpg.Record]"

    async def submit(self, **body: JsonValue) -> str:
        answer = await self.http.post("/api/v1/tasks", json={"prompt": TEXT, **body})
        assert answer.status_code == httpx.codes.ACCEPTED, answer.text
        return str(answer.json()["task_id"])

    async def hanging(self, **body: JsonValue) -> str:
        """A task whose agent has begun and will not end by itself."""
        self.parts.points.arm(points.AGENT_HANGS)
        task = await self.submit(**body)
        await self.until(task, "running")
        await eventually(lambda: not self.parts.points.is_armed(points.AGENT_HANGS))
        return task

    async def task(self, task: str) -> Json:
        found: Json = (await self.http.get(f"/api/v1/tasks/{task}")).json()
        return found

    async def command(self, task: str, action: str, status: int = 200, **body: JsonValue) -> Json:
        answer = await self.http.post(f"/api/v1/tasks/{task}/{action}", json=body)
        assert answer.status_code == status, answer.text
        found: Json = answer.json()
        return found

    async def until(self, task: str, status: str, within: float = 20) -> Json:
        async def is_there() -> Json | None:
            found = await self.task(task)
            return found if found["status"] == status else None

        found = await eventually(is_there, within=within)
        assert found is not None
        return found

    async def waits(self, task: str, what: str) -> Json | None:
        found = await self.task(task)
        return found if found["waiting_for"] == what else None

    async def run_ended(self, task: str, attempt: int = 1) -> str:
        """The outcome of a run, as soon as its agent's last word is in the log."""

        async def outcome() -> str | None:
            items = (await self.http.get(f"/api/v1/tasks/{task}/events")).json()["items"]
            ends = [item["data"] for item in items if item["event"] == "run.finished"]
            return next((str(end["outcome"]) for end in ends if end["attempt"] == attempt), None)

        found = await eventually(outcome, within=20)
        assert found is not None
        return found

    async def told(self, task: str, states: list[str]) -> bool:
        """Whether its history shows these states, in this order."""
        items = (await self.http.get(f"/api/v1/tasks/{task}/events")).json()["items"]
        shown = [name for item in items if (name := str(item["event"]).partition(".")[2]) in STATE_EVENTS]
        assert shown == states
        return True

    async def seconds_between(self, task: str, first: str, then: str) -> float:
        """From one event of the task to another, by the log's own clock."""
        items = (await self.http.get(f"/api/v1/tasks/{task}/events")).json()["items"]
        times = {item["event"]: datetime.fromisoformat(item["time"]) for item in items}
        return (times[then] - times[first]).total_seconds()

    async def run_status(self, task: str, attempt: int = 1) -> object:
        row = "SELECT status FROM run WHERE task_id = $1 AND attempt = $2"
        return await self.database.fetchval(row, uuid.UUID(task), attempt)


@pytest.fixture
async def owner(parts: Parts) -> AsyncGenerator[Owner]:
    database = await asyncpg.connect(parts.database_url)
    async with parts.client(f"o-{uuid.uuid4().hex[:12]}") as http:
        yield Owner(parts, http, database)
    await database.close()


async def test_a_cancel_is_entered_at_once_and_its_agent_stops_within_a_second(owner: Owner) -> None:
    task = await owner.hanging()
    assert (await owner.command(task, "cancel"))["status"] == "cancelled"
    assert await owner.run_ended(task) == "cancelled"
    assert await owner.seconds_between(task, "task.control", "run.finished") < 1.0
    found = await owner.task(task)
    assert (found["reason"], found["effects_done"]) == ("cancelled_by_owner", False)
    assert await owner.run_status(task) == "cancelled"
    assert (await owner.command(task, "cancel", 409))["code"] == "task_final"


async def test_a_cancel_survives_that_everybody_who_knew_of_it_dies(owner: Owner) -> None:
    task = await owner.hanging()
    waiting = await owner.submit(depends_on=[task])
    await owner.until(waiting, "waiting")
    await owner.command(task, "cancel")
    for role in ("keeper", "runner", "reactors"):
        await owner.parts.kill(role)
    await owner.parts.heal()
    assert (await owner.task(task))["status"] == "cancelled"
    assert (await owner.task(waiting))["status"] == "skipped"
    assert await owner.run_status(task) == "cancelled"  # though its agent never said so
    assert await owner.database.fetchval("SELECT count(*) FROM run WHERE task_id = $1", uuid.UUID(waiting)) == 0


async def test_a_cancelled_parent_takes_its_children_with_it(owner: Owner) -> None:
    parent = await owner.hanging()
    child = await owner.hanging(parent_id=parent)
    held = await owner.submit(parent_id=parent, hold=True)
    assert (await owner.until(held, "waiting"))["waiting_for"] == "hold"
    assert (await owner.command(parent, "cancel", reason="never mind"))["detail"] == "never mind"
    assert {str((await owner.task(one))["status"]) for one in (child, held)} == {"cancelled"}
    assert await owner.run_ended(child) == "cancelled"
    assert await owner.seconds_between(child, "task.cancelled", "run.finished") < 1.0


async def test_a_dropped_connection_cancels_nothing(owner: Owner) -> None:
    url, token = owner.parts.url, owner.http.headers["Authorization"]
    key = uuid.uuid4().hex
    owner.parts.points.arm(points.AGENT_HANGS)
    async with httpx.AsyncClient(base_url=url, headers={"Authorization": token}, trust_env=False) as dropped:
        body, headers = {"prompt": TEXT}, {"Prefer": "wait=30", "Idempotency-Key": key}
        asking = asyncio.create_task(dropped.post("/api/v1/tasks", json=body, headers=headers))
        await eventually(lambda: not owner.parts.points.is_armed(points.AGENT_HANGS), within=10)
        asking.cancel()
        await asyncio.wait({asking})
    again = await owner.http.post("/api/v1/tasks", json=body, headers={"Idempotency-Key": key})
    task = str(again.json()["task_id"])
    async with owner.http.stream("GET", f"/api/v1/tasks/{task}/stream", params={"after": "0"}) as stream:
        await anext(stream.aiter_lines())
    assert (await owner.task(task))["status"] == "running"
    await owner.command(task, "cancel")


async def test_a_pause_stops_the_agent_and_a_resume_begins_anew(owner: Owner) -> None:
    task = await owner.hanging()
    assert (await owner.command(task, "pause"))["waiting_for"] == "resume"
    assert await owner.run_ended(task) == "cancelled"
    assert (await owner.task(task))["status"] == "paused"
    assert (await owner.command(task, "pause", 409))["code"] == "refused"
    await owner.command(task, "resume")
    found = await owner.until(task, "succeeded")
    assert found["attempt"] == 2


async def test_what_its_owner_calls_done_is_done_and_its_agent_stops(owner: Owner) -> None:
    task = await owner.hanging()
    done = await owner.command(task, "complete", result={"text": "by hand"})
    assert (done["status"], done["result"]) == ("succeeded", {"text": "by hand"})
    assert await owner.run_ended(task) == "cancelled"
    found = await owner.task(task)
    assert (found["status"], found["result"], found["effects_done"]) == ("succeeded", {"text": "by hand"}, False)


async def test_what_its_owner_calls_failed_can_be_tried_again(owner: Owner) -> None:
    task = await owner.hanging()
    failed = await owner.command(task, "fail", code="wrong_text", message="That is not the text.")
    assert (failed["status"], failed["reason"]) == ("failed", "wrong_text")
    assert await owner.run_ended(task) == "cancelled"
    await owner.command(task, "retry")
    found = await owner.until(task, "succeeded")
    assert found["attempt"] == 2


async def test_a_run_past_its_time_ends_timed_out_and_its_agent_stops(owner: Owner) -> None:
    task = await owner.hanging(budget={"max_time_seconds": 1})
    found = await owner.until(task, "timed_out", within=8)
    assert found["reason"] == "agent_timeout"
    assert await owner.run_status(task) == "timed_out"
    await owner.command(task, "retry")
    await owner.until(task, "succeeded")


async def test_a_run_that_is_silent_for_ninety_seconds_is_lost_and_its_task_begins_a_new_attempt(owner: Owner) -> None:
    task = await owner.hanging()
    runner = owner.parts.pid("runner")
    assert runner is not None
    os.kill(runner, signal.SIGSTOP)
    try:
        silence = "UPDATE task SET heartbeat_at = now() - make_interval(secs => $2) WHERE id = $1"
        await owner.database.execute(silence, uuid.UUID(task), 85)
        assert (await owner.task(task))["status"] == "running"
        await owner.database.execute(silence, uuid.UUID(task), 91)
        found = await owner.until(task, "assigned")  # the router has chosen again, and nobody is there to begin
        assert (found["attempt"], await owner.run_status(task)) == (2, "lost")
    finally:
        os.kill(runner, signal.SIGCONT)
    found = await owner.until(task, "succeeded")
    assert (found["attempt"], await owner.run_status(task), await owner.run_status(task, 2)) == (2, "lost", "succeeded")
    begun = ["ready", "assigned", "running"]
    await eventually(lambda: owner.told(task, [*begun, *begun, "succeeded"]))


async def test_a_deadline_ends_what_runs_and_what_nobody_could_take(owner: Owner) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=5)).isoformat()
    idle = await owner.submit(deadline_at=soon, required_capabilities=["a-capability-of-nobody"])
    running = await owner.hanging(deadline_at=soon)
    assert (await owner.until(running, "timed_out"))["reason"] in {"agent_timeout", "deadline_passed"}
    assert await owner.run_status(running) == "timed_out"
    assert (await owner.until(idle, "failed"))["reason"] == "unroutable"


async def test_a_chain_of_tasks_runs_in_order_and_says_what_it_waits_for(owner: Owner) -> None:
    first = await owner.submit(hold=True)
    second = await owner.submit(depends_on=[first])
    third = await owner.submit(depends_on=[{"task_id": first}, {"task_id": second}])
    assert (await owner.until(third, "waiting"))["waiting_for"] == f"dependencies: {first}, {second}"
    assert (await owner.command(second, "start", 409))["code"] == "refused"
    await owner.command(first, "start")
    await owner.until(third, "succeeded")
    ended = [str((await owner.task(one))["finished_at"]) for one in (first, second, third)]
    assert ended == sorted(ended)


async def test_a_divided_task_puts_the_results_of_its_steps_together(owner: Owner) -> None:
    task = await owner.submit(hold=True)
    await owner.until(task, "waiting")
    answer = await owner.http.post(f"/api/v1/tasks/{task}/decompose", headers={"Prefer": "wait=20"})
    assert answer.status_code == httpx.codes.OK, answer.text
    plan = answer.json()
    found = await owner.until(task, "succeeded")
    result = found["result"]
    assert isinstance(result, dict)
    steps = result["steps"]
    assert isinstance(steps, list)
    assert [one["step"] for one in steps if isinstance(one, dict)] == [step["step"] for step in plan["children"]]
    for step in plan["children"]:
        done = await owner.task(step["task_id"])
        assert (done["status"], done["parent_id"]) == ("succeeded", task)


async def test_an_end_waits_for_another_while_its_agent_is_free(owner: Owner) -> None:
    other = await owner.submit(hold=True)
    task = await owner.submit(depends_on=[{"task_id": other, "type": "FF"}])
    found = await eventually(lambda: owner.waits(task, f"dependencies: {other}"), within=20)
    assert found is not None
    assert (found["status"], found["result"] is not None, await owner.run_status(task)) == (
        "running",
        True,
        "succeeded",
    )
    assert (await owner.http.get("/api/v1/agents/extractive")).json()["current_tasks"] == 0
    await owner.command(other, "start")
    ended = await owner.until(task, "succeeded")
    assert (ended["reason"], ended["result"]) == ("dependencies_met", found["result"])
    await eventually(lambda: owner.told(task, ["ready", "assigned", "running", "running", "succeeded"]))
