"""POST /api/v1/tasks/{id}/decompose: the plan, who may ask for it, and what a repeat is answered."""

import asyncio
from uuid import UUID, uuid4

import httpx
import pytest

from events import Event, RouteDecided, RunFinished, RunStarted, TaskChecked
from events.ids import derived_id, run_id
from storage.log import Settled, settled
from storage.lookup import PostgresLookup
from storage.reading import Database
from tests.support.desk import Desk, Json
from tests.support.eventually import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

WAIT = {"Prefer": "wait=10"}


async def held(desk: Desk, **body: object) -> str:
    """A task of alice's on hold, screened."""
    answer = await desk.alice.post("/api/v1/tasks", json={"prompt": "Prepare the party.", "hold": True, **body})
    assert answer.status_code == 202, answer.text
    task = str(answer.json()["task_id"])
    await say(desk, task, TaskChecked(task_id=UUID(task), decision="allow", rules_version="1"))
    await becomes(desk, task, "waiting")
    return task


async def say(desk: Desk, task: str, *facts: TaskChecked | RouteDecided | RunStarted | RunFinished) -> None:
    for data in facts:
        event = Event.first(data, source="/consumers/test", tenant="acme", owner="alice", task_id=UUID(task))
        await desk.bus.publisher.publish(event)


async def run(desk: Desk, task: str) -> None:
    """One attempt that goes well."""
    await becomes(desk, task, "ready")
    one = UUID(task)
    named = {
        "run_id": run_id(one, 1),
        "task_id": one,
        "attempt": 1,
        "execution_id": derived_id(one, "execution", 1),
        "agent_id": "someone",
    }
    await say(
        desk,
        task,
        RouteDecided(task_id=one, attempt=1, agent_id="someone", score=1.0, reason="the only one"),
        RunStarted.model_validate(named),
        RunFinished.model_validate({**named, "outcome": "succeeded", "output": {"text": "Done."}}),
    )
    await becomes(desk, task, "succeeded")


async def becomes(desk: Desk, task: str, status: str) -> Json:
    found: Json = {}

    async def has() -> bool:
        found.update((await desk.alice.get(f"/api/v1/tasks/{task}")).json())
        assert found["status"] == status, found
        return True

    await eventually(has, within=15)
    return found


async def decompose(
    desk: Desk, task: str, body: Json | None = None, *, key: str | None = None, client: httpx.AsyncClient | None = None
) -> httpx.Response:
    path = f"/api/v1/tasks/{task}/decompose"
    headers = {**WAIT, "Idempotency-Key": key} if key else WAIT
    return await (client or desk.alice).post(path, json=body or {}, headers=headers)


async def test_the_plan_is_answered_and_its_steps_are_there(desk: Desk) -> None:
    task = await held(desk, estimated_hours=2.5)
    answer = await decompose(desk, task)
    assert (answer.status_code, answer.headers["preference-applied"]) == (200, "wait=10")
    plan = answer.json()
    steps = [step["task_id"] for step in plan["children"]]
    assert plan["critical_path"] == steps
    assert sum(step["estimated_time"] for step in plan["children"]) == pytest.approx(plan["total_hours"], abs=1e-3)
    shown = await becomes(desk, task, "waiting")
    waited_for = shown["depends_on"]
    assert isinstance(waited_for, list)
    assert (shown["reason"], shown["children"], len(waited_for)) == ("dependencies", 5, 5)
    assert shown["estimate"] == plan["estimate"]
    child = (await desk.alice.get(f"/api/v1/tasks/{steps[1]}")).json()
    assert (child["kind"], child["parent_id"], child["status"]) == ("subtask", task, "submitted")
    assert child["estimate"] == plan["children"][1]["estimate"]


async def test_who_waits_for_a_plan_is_woken_by_it_and_does_not_ask_again_and_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    offered = PostgresLookup.capabilities

    async def counted(engine: Database, source: str, event_id: str) -> Settled | None:
        looked.append(event_id)
        return await settled(engine, source, event_id)

    async def slow(lookup: PostgresLookup, tenant: str) -> frozenset[str]:
        await asyncio.sleep(0.5)  # a planner that takes its time
        return await offered(lookup, tenant)

    monkeypatch.setattr("gateway.tasks.decomposing.settled", counted)
    monkeypatch.setattr(PostgresLookup, "capabilities", slow)
    answers = [await decompose(desk, await held(desk)), await decompose(desk, await held(desk), {"template": "none"})]
    assert [answer.status_code for answer in answers] == [200, 409]
    assert len(looked) <= 3, "the plan's event, or its absence and then that of the refusal"


async def test_a_task_goes_on_when_its_steps_have_ended_and_cancelling_it_takes_them_along(desk: Desk) -> None:
    done, stopped = await held(desk), await held(desk)
    plans = [(await decompose(desk, task)).json()["children"] for task in (done, stopped)]
    for step in plans[0]:
        verdict = TaskChecked(task_id=step["task_id"], decision="allow", rules_version="1")
        await say(desk, step["task_id"], verdict)
        await run(desk, step["task_id"])
    await run(desk, done)
    assert (await desk.alice.post(f"/api/v1/tasks/{stopped}/cancel")).status_code == 200
    for step in plans[1]:
        await becomes(desk, step["task_id"], "cancelled")


async def test_a_repeat_with_the_same_key_is_the_same_plan_and_any_other_is_refused(desk: Desk) -> None:
    task, key = await held(desk), str(uuid4())
    first = await decompose(desk, task, {"max_depth": 2}, key=key)
    again = await decompose(desk, task, {"max_depth": 2}, key=key)
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    other = await decompose(desk, task, {"max_depth": 1}, key=key)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    second = await decompose(desk, task)
    assert (second.status_code, second.json()["code"]) == (409, "already_decomposed")


async def test_without_a_wish_to_wait_the_request_is_kept_and_its_outcome_known(desk: Desk) -> None:
    task = await held(desk)
    answer = await desk.alice.post(f"/api/v1/tasks/{task}/decompose")
    assert (answer.status_code, answer.json()["durability"]) == (202, "log+database")
    assert answer.headers["location"] == f"/api/v1/tasks/{task}"

    async def divided() -> bool:
        found: Json = (await desk.alice.get(f"/api/v1/tasks/{task}")).json()
        return found["children"] == 5

    await eventually(divided)


@pytest.mark.parametrize(
    ("task", "body", "code"),
    [
        ({"budget": {"max_tokens": 20}}, {}, "budget_too_small"),
        ({}, {"template": "unheard_of"}, "unknown_template"),
    ],
)
async def test_what_cannot_be_divided_is_said_and_goes_on_as_before(
    desk: Desk, task: dict[str, object], body: Json, code: str
) -> None:
    one = await held(desk, **task)
    answer = await decompose(desk, one, body)
    assert (answer.status_code, answer.json()["code"]) == (409, code)
    assert (await becomes(desk, one, "waiting"))["reason"] == "hold"


async def test_nobody_divides_what_is_not_theirs_or_has_begun(desk: Desk) -> None:
    task = await held(desk)
    mallory = desk.client("mallory")
    assert (await decompose(desk, task, client=mallory)).status_code == 404
    assert (await decompose(desk, str(uuid4()))).status_code == 404
    await desk.alice.post(f"/api/v1/tasks/{task}/start")
    await run(desk, task)
    ended = await decompose(desk, task)
    assert (ended.status_code, ended.json()["code"]) == (409, "task_final")
    wrong = await decompose(desk, task, {"max_depth": 9})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "max_depth")


async def test_the_door_takes_it_like_any_request(desk: Desk) -> None:
    task = await held(desk)
    event = {"specversion": "1.0", "id": "1", "source": f"/test/{task}", "type": "io.ganglion.task.decompose.v1"}
    headers = {"Content-Type": "application/cloudevents+json"}
    said = {**event, "data": {"task_id": task, "max_depth": 1}}
    answer = await desk.alice.post("/api/v1/events", json=said, headers=headers)
    assert (answer.status_code, answer.json()["outcome"]) == (202, "applied")
    stranger = await desk.client("mallory").post("/api/v1/events", json=said, headers=headers)
    assert stranger.status_code == 404
    fact = {**event, "type": "io.ganglion.task.decomposed.v1", "data": {}}
    assert (await desk.alice.post("/api/v1/events", json=fact, headers=headers)).status_code == 403
