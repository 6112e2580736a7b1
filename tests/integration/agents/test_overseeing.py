"""What whoever runs a tenant says and does about agents: notes that count for nothing, and assignments given back."""

import asyncio
from collections.abc import AsyncGenerator

import httpx
import pytest
import pytest_asyncio

from producers.agent import Context, Task
from tests.support.agency import Agency, Json
from tests.support.eventually import eventually

pytestmark = pytest.mark.asyncio(loop_scope="package")
NAME = "AGENT-OVERSEEN"
OTHER = "AGENT-SPARE"


@pytest_asyncio.fixture(loop_scope="package")
async def admin(agency: Agency) -> AsyncGenerator[httpx.AsyncClient]:
    async with agency.http("root", scopes=("admin",)) as admin:
        yield admin


@pytest.fixture(autouse=True)
async def _(alice: httpx.AsyncClient) -> None:
    """Everything goes afterwards."""


async def registered(http: httpx.AsyncClient, name: str = NAME, *, capacity: int = 5) -> None:
    """An agent that takes nothing out of its queue: what is assigned to it does not begin."""
    offer: Json = {"name": name, "capabilities": ["answer"], "max_concurrent_capacity": capacity}
    answer = await http.post("/api/v1/agents", json=offer)
    assert answer.status_code == 201, answer.text


async def performance(http: httpx.AsyncClient, name: str = NAME) -> Json:
    found: Json = (await http.get(f"/api/v1/agents/{name}/performance")).json()
    return found


async def rebalanced(http: httpx.AsyncClient, **asked: bool | str | int) -> Json:
    answer = await http.post("/api/v1/agents/rebalance", json=asked)
    assert answer.status_code == 200, answer.text
    told: Json = answer.json()
    return told


async def test_a_note_is_kept_beside_the_record_and_is_no_part_of_it(
    alice: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    await registered(alice)
    before = await performance(alice)
    assert before["notes"] == []
    for number in range(21):
        said = {"quality": 1.0, "note": f"Good work ({number}).", "task_id": None}
        answer = await admin.post(f"/api/v1/agents/{NAME}/performance", json=said)
        assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told == await performance(alice)
    assert {**told, "notes": []} == before
    notes = told["notes"]
    assert [note["note"] for note in notes[:2]] == ["Good work (20).", "Good work (19)."]
    assert (len(notes), notes[0]["by"], notes[0]["quality"], notes[0]["task_id"]) == (20, "root", 1.0, None)
    await registered(alice)  # anew: what was said of it stays
    assert len((await performance(alice))["notes"]) == 20  # type: ignore[arg-type]  # a list


async def test_a_note_under_a_key_is_made_once(alice: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    await registered(alice)
    where, key = f"/api/v1/agents/{NAME}/performance", {"Idempotency-Key": "note-1"}
    for _ in range(2):
        answer = await admin.post(where, json={"note": "Slow."}, headers=key)
        assert answer.status_code == 200
    assert answer.headers["Idempotency-Replayed"] == "true"
    assert len(answer.json()["notes"]) == 1
    assert (await admin.post(where, json={"note": "Quick."}, headers=key)).status_code == 409


async def test_only_an_admin_oversees_and_only_agents_of_the_tenant(
    agency: Agency, alice: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    await registered(alice)
    for path, body in ((f"/{NAME}/performance", {"quality": 1}), ("/rebalance", {})):
        assert (await alice.post(f"/api/v1/agents{path}", json=body)).status_code == 403
    where = f"/api/v1/agents/{NAME}/performance"
    for wrong in ({}, {"quality": 1.1}, {"quality": "1"}, {"note": " "}, {"note": "x" * 1_001}, {"more": 1}):
        assert (await admin.post(where, json=wrong)).status_code == 422, wrong
    async with agency.http("root", tenant="other", scopes=("admin",)) as stranger:
        assert (await stranger.post(where, json={"note": "Mine."})).status_code == 404
        assert (await rebalanced(stranger))["looked_at"] == 0
    for name in ("extractive", "AGENT-NOBODY"):
        answer = await admin.post(f"/api/v1/agents/{name}/performance", json={"note": "Hm."})
        assert answer.status_code == 404


async def test_nothing_moves_where_all_is_well(
    agency: Agency, alice: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    await registered(alice)
    await registered(alice, OTHER)
    await agency.becomes(alice, await agency.submit(alice, required_capabilities=["answer"]), "assigned")
    answer = await admin.post("/api/v1/agents/rebalance")
    assert answer.json() == {"dry_run": False, "looked_at": 1, "moved": [], "kept": [], "more": False}


async def test_what_an_agent_that_drains_has_not_begun_goes_to_another(
    agency: Agency, alice: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    await registered(alice)
    task_id = await agency.submit(alice, required_capabilities=["answer"])
    await agency.becomes(alice, task_id, "assigned")
    assert (await alice.post(f"/api/v1/agents/{NAME}/drain")).status_code == 200
    told = await rebalanced(admin)
    entry = {"task_id": task_id, "agent_id": NAME, "why": "draining", "candidate": None, "kept_because": "nobody_else"}
    assert (told["looked_at"], told["moved"], told["kept"]) == (1, [], [entry])

    async def greets(_: Task, __: Context) -> str:
        return "hello"

    await agency.start(OTHER, greets)
    moving = {**entry, "candidate": OTHER, "kept_because": None}
    shown = await rebalanced(admin, dry_run=True)
    assert (shown["dry_run"], shown["moved"], shown["kept"]) == (True, [moving], [])
    assert (await agency.task(alice, task_id))["status"] == "assigned"
    assert (await rebalanced(admin, agent_id="AGENT-NOBODY"))["moved"] == []
    assert (await rebalanced(admin))["moved"] == [moving]
    task = await agency.becomes(alice, task_id, "succeeded")
    assert (task["agent_id"], task["attempt"]) == (OTHER, 2)
    names = [str(event["type"]).split(".")[3] for event in await agency.said(task_id)]
    assert names.count("succeeded") == 1
    assert (await performance(alice))["failed_tasks"] == 0  # it was none of its agent's doing

    async def gone() -> bool:
        return bool((await alice.get(f"/api/v1/agents/{NAME}")).json()["status"] == "gone")

    await eventually(gone)  # it has nothing left


async def test_of_more_than_an_agent_can_take_the_newest_go(
    agency: Agency, alice: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    await registered(alice, capacity=3)
    tasks = []
    for _ in range(3):
        tasks.append(await agency.submit(alice, required_capabilities=["answer"]))
        await agency.becomes(alice, tasks[-1], "assigned")
    await registered(alice, capacity=1)
    await registered(alice, OTHER)
    told = await rebalanced(admin, limit=1)
    assert ([one["task_id"] for one in told["moved"]], told["more"]) == ([tasks[2]], True)  # type: ignore[union-attr,index,call-overload]  # a list of objects
    told = await rebalanced(admin)
    assert [(one["task_id"], one["why"]) for one in told["moved"]] == [(tasks[1], "overloaded")]  # type: ignore[union-attr,index,call-overload]  # as above
    assert (await rebalanced(admin))["moved"] == []
    holders = [(await agency.becomes(alice, one, "assigned"))["agent_id"] for one in tasks]
    assert holders == [NAME, OTHER, OTHER]


async def test_what_has_begun_stays_where_it_is(
    agency: Agency, alice: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    going_on = asyncio.Event()

    async def works(_: Task, __: Context) -> str:
        await going_on.wait()
        return "done"

    await agency.start(NAME, works)
    task_id = await agency.submit(alice, required_capabilities=["answer"])
    await agency.becomes(alice, task_id, "running")
    await registered(alice, OTHER)
    assert (await admin.post(f"/api/v1/agents/{NAME}/drain")).status_code == 200
    assert (await rebalanced(admin))["looked_at"] == 0
    going_on.set()
    assert (await agency.becomes(alice, task_id, "succeeded"))["attempt"] == 1


async def test_stats_is_no_agents_name(alice: httpx.AsyncClient) -> None:
    """In its document these routes could never match: they stood after the one for an id."""
    assert "by_status" in (await alice.get("/api/v1/agents/stats")).json()
    assert "items" in (await alice.get("/api/v1/agents/by-capability/answer")).json()
