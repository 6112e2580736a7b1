"""POST /submit and POST /api/v1/tasks: what is accepted, what is promised, and what is refused."""

import asyncio
from collections.abc import AsyncGenerator
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio
from nats.aio.client import Client

from events.streams import BUS
from events.task import TaskSubmitted
from tests.support.eventually import eventually
from tests.support.fake_keeper import FakeKeeper
from tests.support.running_gateway import RunningGateway, token

pytestmark = pytest.mark.asyncio(loop_scope="module")

GOAL = {"goal": "Summarise the incident notes"}


@pytest_asyncio.fixture(loop_scope="module")
async def alice(newcomer: httpx.AsyncClient, keeper: FakeKeeper) -> AsyncGenerator[httpx.AsyncClient]:
    """Somebody who has sent nothing yet, and a keeper who works whatever the test before did to it."""
    yield newcomer
    keeper.announces = True
    keeper.resume()


async def test_a_task_is_accepted_once_it_is_committed(alice: httpx.AsyncClient) -> None:
    answer = await alice.post("/api/v1/tasks", json=GOAL)
    body = answer.json()
    assert (answer.status_code, body["status"], body["durability"]) == (202, "submitted", "log+database")
    assert answer.headers["location"] == body["links"]["self"] == f"/api/v1/tasks/{body['task_id']}"
    task = (await alice.get(answer.headers["location"])).json()
    assert (task["task_id"], task["status"], task["prompt"]) == (body["task_id"], "submitted", GOAL["goal"])


async def test_submit_speaks_the_words_of_its_document(alice: httpx.AsyncClient, keeper: FakeKeeper) -> None:
    body = {
        "goal": "Plan the release",
        "constraints": {"language": "en"},
        "context": "We ship on Friday.",
        "acceptance_criteria": ["names every step"],
        "budget": {"max_tokens": 500, "max_time_seconds": 60, "max_cost_usd": 0.5},
        "priority": "medium",
        "metadata": {"team": "core"},
    }
    answer = await alice.post("/submit", json=body)
    assert (answer.status_code, answer.json()["status"]) == (202, "pending")
    task_id = UUID(answer.json()["task_id"])
    submitted = keeper.head(task_id).data
    assert isinstance(submitted, TaskSubmitted)
    spec = submitted.spec
    assert (spec.prompt, spec.context.text, spec.constraints) == (body["goal"], body["context"], body["constraints"])
    assert (spec.acceptance_criteria, spec.priority, spec.budget.max_tokens) == (("names every step",), "normal", 500)
    await keeper.enter(task_id, "succeeded", {"text": "done"})
    task = (await alice.get(f"/tasks/{task_id}")).json()
    assert list(task) == [
        *("task_id", "status", "goal", "result", "error", "created_at", "updated_at", "processing_time_ms")
    ]
    assert (task["status"], task["result"], task["error"]) == ("completed", {"text": "done"}, None)
    assert isinstance(task["processing_time_ms"], int)


async def test_every_spelling_of_a_priority_means_one_of_five(alice: httpx.AsyncClient) -> None:
    spellings = (("blocker", "critical"), ("medium", "normal"), ("deferred", "background"), (0, "critical"), (3, "low"))
    for given, meant in spellings:
        answer = await alice.post("/api/v1/tasks", json={**GOAL, "priority": given})
        assert (await alice.get(answer.headers["location"])).json()["priority"] == meant
        for said in (given, meant):
            found = (await alice.get("/api/v1/tasks", params={"priority": said})).json()["items"]
            assert {task["priority"] for task in found} == {meant}
    assert (await alice.get("/api/v1/tasks", params={"priority": "5"})).status_code == 422


async def test_wait_answers_with_the_task_as_soon_as_it_ends(alice: httpx.AsyncClient, keeper: FakeKeeper) -> None:
    key = {"Prefer": "wait=20", "Idempotency-Key": "one"}
    asking = asyncio.create_task(alice.post("/api/v1/tasks", json=GOAL, headers=key))
    first = await alice.post("/api/v1/tasks", json=GOAL, headers={"Idempotency-Key": "one"})
    await keeper.enter(UUID(first.json()["task_id"]), "blocked")
    answer = await asking
    assert (answer.status_code, answer.json()["status"]) == (200, "blocked")
    assert answer.headers["preference-applied"] == "wait=20"


async def test_wait_answers_202_when_the_time_is_over(alice: httpx.AsyncClient) -> None:
    answer = await alice.post("/api/v1/tasks", json=GOAL, headers={"Prefer": "respond-async, wait=1"})
    assert (answer.status_code, answer.headers["preference-applied"]) == (202, "wait=1")


async def test_waiting_for_a_task_that_ended_long_ago_answers_at_once(
    alice: httpx.AsyncClient, keeper: FakeKeeper
) -> None:
    key = {"Idempotency-Key": "old"}
    first = await alice.post("/api/v1/tasks", json=GOAL, headers=key)
    await keeper.enter(UUID(first.json()["task_id"]), "succeeded", {"text": "x"})
    answer = await alice.post("/api/v1/tasks", json=GOAL, headers={**key, "Prefer": "wait=30"})
    assert (answer.status_code, answer.json()["status"]) == (200, "succeeded")
    assert answer.headers["idempotency-replayed"] == "true"


async def test_the_same_key_and_body_get_the_first_answer(alice: httpx.AsyncClient) -> None:
    first, second = [await alice.post("/submit", json=GOAL, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert first.json() == second.json()
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"


async def test_the_same_key_with_another_body_is_a_conflict(alice: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "k"}
    await alice.post("/submit", json=GOAL, headers=key)
    answer = await alice.post("/submit", json={"goal": "Something else"}, headers=key)
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_conflict")


async def test_another_owner_route_or_tenant_has_keys_of_its_own(gateway: RunningGateway) -> None:
    ids = set()
    one, other = f"user-{uuid4()}", f"user-{uuid4()}"
    for bearer in (token(one), token(other), token(one, tenant="other")):
        async with gateway.client(bearer) as client:
            for path in ("/submit", "/api/v1/tasks"):
                answer = await client.post(path, json=GOAL, headers={"Idempotency-Key": "k"})
                ids.add(answer.json()["task_id"])
    assert len(ids) == 6


async def test_twenty_at_once_with_one_key_make_one_task(alice: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(
        *(alice.post("/api/v1/tasks", json=GOAL, headers={"Idempotency-Key": "k"}) for _ in range(20))
    )
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["task_id"] for answer in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    assert len((await alice.get("/api/v1/tasks")).json()["items"]) == 1


async def test_a_conflict_is_seen_before_the_first_one_is_committed(
    alice: httpx.AsyncClient, keeper: FakeKeeper
) -> None:
    keeper.pause()
    key = {"Idempotency-Key": "k"}
    first = await alice.post("/api/v1/tasks", json=GOAL, headers=key)
    assert first.json()["durability"] == "log"
    answer = await alice.post("/api/v1/tasks", json={"goal": "Something else"}, headers=key)
    assert answer.status_code == 409


async def test_a_conflict_is_seen_though_the_stream_has_forgotten_the_first_one(
    alice: httpx.AsyncClient, keeper: FakeKeeper, bus: Client
) -> None:
    js = bus.jetstream()
    config = (await js.stream_info(BUS.name)).config
    kept = (await js.stream_info(BUS.name)).state.messages
    await js.update_stream(config.evolve(duplicate_window=0.1))
    try:
        keeper.pause()
        key = {"Idempotency-Key": "k"}
        first = asyncio.create_task(alice.post("/api/v1/tasks", json=GOAL, headers=key))
        await eventually(lambda: _has(bus, kept + 1))
        await asyncio.sleep(0.15)  # the window itself: nothing can be polled for
        other = asyncio.create_task(alice.post("/api/v1/tasks", json={"goal": "Something else"}, headers=key))
        await eventually(lambda: _has(bus, kept + 2))
        keeper.resume()
        assert [(await answer).status_code for answer in (first, other)] == [202, 409]
    finally:
        await js.update_stream(config)


async def _has(bus: Client, messages: int) -> bool:
    return (await bus.jetstream().stream_info(BUS.name)).state.messages == messages


async def test_a_missed_announcement_is_made_up_for_by_the_database(
    alice: httpx.AsyncClient, keeper: FakeKeeper
) -> None:
    keeper.announces = False
    answer = await alice.post("/api/v1/tasks", json=GOAL)
    assert answer.json()["durability"] == "log+database"


async def test_the_trace_of_a_request_runs_through_its_event(alice: httpx.AsyncClient, keeper: FakeKeeper) -> None:
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    headers = {"traceparent": traceparent, "X-Request-Id": "req-1"}
    answer = await alice.post("/submit", json=GOAL, headers=headers)
    assert (answer.headers["traceparent"], answer.headers["x-request-id"]) == (traceparent, "req-1")
    assert keeper.head(UUID(answer.json()["task_id"])).traceparent == traceparent
