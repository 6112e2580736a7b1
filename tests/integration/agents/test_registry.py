"""/api/v1/agents over HTTP: document 002's words, the keeper's outcomes, and whose is whose."""

import asyncio
import contextlib

import httpx
import pytest
from pydantic import JsonValue

from producers.agent import Context, Task
from storage.live.store import ColdError
from tests.support.agency import Agency, Json
from tests.support.eventually import eventually

pytestmark = pytest.mark.asyncio(loop_scope="package")
NAME = "AGENT-ONE"


def offer(name: str = NAME, **more: JsonValue) -> Json:
    return {"name": name, "capabilities": ["answer"], **more}


async def registered(http: httpx.AsyncClient, name: str = NAME, **more: JsonValue) -> Json:
    answer = await http.post("/api/v1/agents", json=offer(name, **more))
    assert answer.status_code == 201, answer.text
    body: Json = answer.json()
    return body


async def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, str(answer.json()["code"])


@pytest.fixture(autouse=True)
async def _(alice: httpx.AsyncClient) -> None:
    """Everything goes afterwards."""


async def test_an_agent_is_registered_looked_at_and_deregistered(agency: Agency, alice: httpx.AsyncClient) -> None:
    made = await registered(alice, agent_type="reviewer", technologies=["python"], max_concurrent_capacity=7)
    assert str(made["auth_token"]).startswith("gat_acme.")
    assert made["heartbeat_interval_seconds"] == 30
    assert "password" not in str(made["connection"])
    agent = (await alice.get(f"/api/v1/agents/{NAME}")).json()
    assert (agent["status"], agent["performance_tier"], agent["load_level"]) == ("active", "competent", "idle")
    assert (agent["max_concurrent_capacity"], agent["is_available"], agent["breaker"]) == (7, True, "closed")
    kept = await agency.doorstep.bus.database.fetchval("SELECT token_hash FROM agent WHERE id = $1", f"acme/{NAME}")
    everything = str(await agency.doorstep.bus.stream()) + str(agent)
    assert len(kept) == 64
    assert str(made["auth_token"]) not in everything
    gone = (await alice.delete(f"/api/v1/agents/{NAME}")).json()
    assert (gone["status"], gone["is_available"]) == ("gone", False)
    assert await code(await alice.delete(f"/api/v1/agents/{NAME}")) == (404, "not_found")


async def test_lists_are_by_capability_and_status_page_by_page(alice: httpx.AsyncClient) -> None:
    for name in ("AGENT-A", "AGENT-B", "AGENT-C", "AGENT-D"):
        await registered(alice, name, capabilities={"juggle": 1.0, name.lower(): 0.7})
    await alice.delete("/api/v1/agents/AGENT-B")

    async def ids(**asked: str) -> list[str]:
        return [agent["id"] for agent in (await alice.get("/api/v1/agents", params=asked)).json()["items"]]

    assert await ids(capability="juggle") == ["AGENT-A", "AGENT-C", "AGENT-D"]
    assert await ids(capability="agent-c") == ["AGENT-C"]
    assert "AGENT-B" in await ids(status="gone")
    by_name = (await alice.get("/api/v1/agents/by-capability/juggle")).json()
    assert [agent["id"] for agent in by_name["items"]] == ["AGENT-A", "AGENT-C", "AGENT-D"]
    assert by_name["next_cursor"] is None
    for path, query in (("", {"capability": "juggle"}), ("/by-capability/juggle", {})):
        pages = [
            (await alice.get(f"/api/v1/agents{path}", params={**query, "limit": 2, **place})).json()
            for place in ({}, {"cursor": "AGENT-C"})
        ]
        assert [[agent["id"] for agent in page["items"]] for page in pages] == [["AGENT-A", "AGENT-C"], ["AGENT-D"]]
        assert [page["next_cursor"] for page in pages] == ["AGENT-C", None]
    numbers = (await alice.get("/api/v1/agents/stats")).json()
    items = (await alice.get("/api/v1/agents")).json()["items"]
    assert (numbers["total"], sum(numbers["by_status"].values())) == (len(items), len(items))
    assert numbers["capacity"] == sum(agent["max_concurrent_capacity"] for agent in items)
    for name in ("AGENT-A", "AGENT-C", "AGENT-D"):
        await alice.delete(f"/api/v1/agents/{name}")


async def test_a_heartbeat_comes_from_the_owner_or_with_the_agents_token(
    agency: Agency, alice: httpx.AsyncClient
) -> None:
    made = await registered(alice)
    path = f"/api/v1/agents/{NAME}/heartbeat"
    beat = {"status": "busy", "current_load": 0.9, "tasks_in_progress": 4, "metrics": {"memory": 1}}
    async with agency.doorstep.gateway.client("") as nobody, agency.http("bob", scopes=("tasks:read",)) as reader:
        assert (await alice.post(path, json=beat)).status_code == 204
        shown = (await alice.get(f"/api/v1/agents/{NAME}")).json()
        assert shown["reported"] == {"status": "busy", "in_flight": 4, "load": 0.9, "metrics": {"memory": 1}}
        assert shown["load_level"] == "idle"  # what it says of itself is shown and not believed
        good = {"X-Agent-Token": str(made["auth_token"])}
        assert (await nobody.post(path, json={}, headers=good)).status_code == 204
        external = f"/api/v1/agents/external/{NAME}/heartbeat"
        assert (await nobody.post(external, headers=good)).status_code == 204
        assert (await nobody.post(path)).status_code == 401
        assert (await nobody.post(path, headers={"X-Agent-Token": "gat_acme.forged"})).status_code == 401
        assert (await reader.post(path)).status_code == 403
        assert (await alice.post("/api/v1/agents/AGENT-NONE/heartbeat")).status_code == 404


async def test_a_name_is_its_owners_and_a_new_registration_draws_a_new_token(
    agency: Agency, alice: httpx.AsyncClient
) -> None:
    first = await registered(alice)
    async with agency.http("bob") as bob, agency.http("eve", tenant="other") as eve:
        assert await code(await bob.post("/api/v1/agents", json=offer())) == (409, "name_taken")
        assert await code(await bob.delete(f"/api/v1/agents/{NAME}")) == (404, "not_found")
        assert await code(await eve.get(f"/api/v1/agents/{NAME}")) == (404, "not_found")
        assert (await registered(eve))["agent_id"] == NAME
        await eve.delete(f"/api/v1/agents/{NAME}")
    second = await registered(alice, max_concurrent_capacity=9)
    assert second["auth_token"] != first["auth_token"]
    beat = f"/api/v1/agents/{NAME}/heartbeat"
    async with agency.doorstep.gateway.client("") as nobody:
        for token, status in ((first["auth_token"], 401), (second["auth_token"], 204)):
            assert (await nobody.post(beat, headers={"X-Agent-Token": str(token)})).status_code == status


async def test_registering_needs_its_own_scope_because_an_agent_sees_the_tenants_work(agency: Agency) -> None:
    async with agency.http(scopes=("tasks:read", "tasks:write")) as user:
        assert await code(await user.post("/api/v1/agents", json=offer())) == (403, "missing_scope")
        assert (await user.get("/api/v1/agents")).status_code == 200


async def test_a_repeat_with_the_same_key_is_the_same_registration(alice: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "register-once"}
    first = await alice.post("/api/v1/agents", json=offer(), headers=key)
    again = await alice.post("/api/v1/agents", json=offer(), headers=key)
    other = await alice.post("/api/v1/agents", json=offer(max_concurrent_capacity=2), headers=key)
    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 409)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json()["auth_token"] is None  # it was shown once and is not kept


async def test_the_same_registration_made_many_times_at_once_is_one(alice: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "register-at-once"}
    answers = await asyncio.gather(*(alice.post("/api/v1/agents", json=offer(), headers=key) for _ in range(8)))
    assert [answer.status_code for answer in answers] == [201] * 8, [answer.text for answer in answers]
    told = [answer.json()["auth_token"] for answer in answers]
    assert sorted(token is None for token in told) == [False] + [True] * 7
    assert [answer.headers.get("Idempotency-Replayed") for answer in answers].count("true") == 7


async def test_a_repeat_of_a_refused_registration_is_refused_again(agency: Agency, alice: httpx.AsyncClient) -> None:
    await registered(alice)
    key = {"Idempotency-Key": "a-name-of-somebody-else"}
    async with agency.http("bob") as bob:
        for _ in range(2):
            assert await code(await bob.post("/api/v1/agents", json=offer(), headers=key)) == (409, "name_taken")


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "agent-lower"},
        {"name": "BOT-1"},
        {"capabilities": []},
        {"capabilities": {"answer": 0}},
        {"max_concurrent_capacity": 51},
        {"agent_type": "wizard"},
        {"unknown": 1},
        {"capabilities": ["a b"]},
    ],
    ids=str,
)
async def test_what_does_not_fit_the_contract_is_refused(alice: httpx.AsyncClient, wrong: Json) -> None:
    assert (await alice.post("/api/v1/agents", json={**offer(), **wrong})).status_code == 422


async def test_the_external_agent_protocol_registers_the_same(alice: httpx.AsyncClient) -> None:
    body = {
        "protocol_version": "1.0",
        "name": "MY_BOT-7",
        "version": "2.1",
        "agent_type": "debugger",
        "capabilities": ["debugging"],
        "endpoint_url": "https://bot.example/",
    }
    answer = await alice.post("/api/v1/agents/external/register", json=body)
    assert answer.status_code == 201, answer.text
    agent = answer.json()["agent"]
    assert (agent["id"], agent["version"], agent["agent_type"]) == ("MY_BOT-7", "2.1", "debugger")
    assert agent["metadata"] == {"protocol_version": "1.0"}
    assert agent["endpoint_url"] == "https://bot.example/"
    assert (await alice.post("/api/v1/agents/external/register", json={**body, "name": "123"})).status_code == 422
    key = {"Idempotency-Key": "of-each-route"}  # a key is a route's: the same one elsewhere is another
    for path, asked in (("", offer()), ("/external/register", body), ("/external/register", body)):
        last = await alice.post(f"/api/v1/agents{path}", json=asked, headers=key)
        assert last.status_code == 201, last.text
    assert last.headers["Idempotency-Replayed"] == "true"
    await alice.delete("/api/v1/agents/MY_BOT-7")


async def test_a_dry_run_says_who_and_why_and_changes_nothing(agency: Agency, alice: httpx.AsyncClient) -> None:
    await registered(alice, "AGENT-A", capabilities={"juggle": 1.0})
    await registered(alice, "AGENT-B", capabilities={"juggle": 0.7}, agent_type="reviewer", technologies=["php"])
    await routed(agency, "AGENT-A", "AGENT-B")
    asked: Json = {"task_description": "Juggle three balls.", "required_capabilities": ["juggle"]}
    answer = (await alice.post("/api/v1/agents/route", json=asked)).json()
    assert answer["selected_agent"] == "AGENT-A"
    assert [other["agent_id"] for other in answer["alternatives"]] == ["AGENT-B"]
    assert set(answer["alternatives"][0]["parts"]) == {"quality", "capability", "idle", "technology", "preference"}
    prefers = (await alice.post("/api/v1/agents/route", json={**asked, "preferred_agent_type": "reviewer"})).json()
    assert prefers["selected_agent"] == "AGENT-B"
    avoids = (await alice.post("/api/v1/agents/route", json={**asked, "avoid_technologies": ["php"]})).json()
    assert avoids["alternatives"] == []
    assert {one["agent_id"]: one["excluded"] for one in avoids["candidates"]}["AGENT-B"] == "uses php"
    tier = await alice.post("/api/v1/agents/route", json={**asked, "min_performance_tier": "elite"})
    assert await code(tier) == (503, "agent_unavailable")
    assert {one["agent_id"]: one["excluded"] for one in tier.json()["candidates"]}["AGENT-A"] == "below elite"
    nobody = await alice.post("/api/v1/agents/route", json={**asked, "required_capabilities": ["fly"]})
    assert await code(nobody) == (503, "agent_unavailable")
    assert (await alice.get("/api/v1/agents/AGENT-A")).json()["current_tasks"] == 0
    for name in ("AGENT-A", "AGENT-B"):
        await alice.delete(f"/api/v1/agents/{name}")


async def routed(agency: Agency, *names: str) -> None:
    """The router knows these of the tenant's agents."""
    async with agency.live() as live:

        async def known() -> bool:
            live.forget()
            with contextlib.suppress(ColdError):  # it builds the state with the first event that it reads
                await live.apply([])
            return {f"acme/{name}" for name in names} <= set(live.view)

        await eventually(known, within=15)


async def test_a_record_is_of_the_runs_for_ones_own_tenant(agency: Agency, alice: httpx.AsyncClient) -> None:
    spent = asyncio.Event()

    async def sometimes(task: Task, ctx: Context) -> str:
        ctx.spent(tokens=10)
        if task.prompt == "wait":
            spent.set()
            await asyncio.sleep(30)
        return "done"

    await agency.start(NAME, sometimes, slots=2)
    for _ in range(3):
        await agency.becomes(alice, await agency.submit(alice, "good"), "succeeded")
    cancelled = await agency.submit(alice, "wait")
    await asyncio.wait_for(spent.wait(), 20)  # the task is `running` before its function has begun
    await agency.becomes(alice, cancelled, "running")
    await alice.post(f"/api/v1/tasks/{cancelled}/cancel")

    async def told() -> bool:
        record = (await alice.get(f"/api/v1/agents/{NAME}/performance")).json()
        assert (record["successful_tasks"], record["cancelled_tasks"]) == (3, 1), record
        assert (record["success_rate"], record["trend"], record["tokens"]) == (1.0, "insufficient_data", 40)
        return True

    await eventually(told, within=15)


async def test_a_repeat_under_a_key_drains_or_deregisters_an_agent_once(
    agency: Agency, alice: httpx.AsyncClient
) -> None:
    await registered(alice)
    await agency.becomes(alice, await agency.submit(alice), "assigned")  # who drains with nothing in hand is gone soon
    for verb, status in (("drain", "draining"), ("deregister", "gone")):
        path, headers = f"/api/v1/agents/{NAME}/{verb}", {"Idempotency-Key": f"key-{verb}"}
        first = await alice.post(path, json={"reason": "holidays"}, headers=headers)
        assert (first.status_code, first.json()["status"], first.json()["reason"]) == (200, status, "holidays")
        assert "idempotency-replayed" not in first.headers
        again = await alice.post(path, json={"reason": "holidays"}, headers=headers)
        assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
        assert await code(await alice.post(path, json={"reason": "work"}, headers=headers)) == (
            409,
            "idempotency_conflict",
        )
    commands = """SELECT count(*) FROM event_log
        WHERE type = 'io.ganglion.agent.deregistered.v1' AND position('"holidays"'::bytea IN body) > 0"""
    assert await agency.doorstep.bus.database.fetchval(commands) == 2
    assert await code(await alice.post(f"/api/v1/agents/{NAME}/drain", headers={"Idempotency-Key": "new"})) == (
        404,
        "not_found",
    )
