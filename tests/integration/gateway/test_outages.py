"""What the gateway promises while NATS, Postgres or the keeper is away, and how it comes back."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from dataclasses import replace

import asyncpg
import httpx
import pytest
from pydantic import SecretStr

from deploy.local.ports import free_port
from deploy.local.servers import Servers
from events.announce import Committed
from events.codec import decode
from events.subjects import COMMITTED
from gateway.auth.bearer import AuthSettings
from producers.connect import BusSettings, Connection
from producers.topology import apply
from tests.support.eventually import PATIENCE, eventually
from tests.support.fake_keeper import FakeKeeper
from tests.support.processes import family, freeze
from tests.support.running_gateway import RunningGateway, running_gateway, settings_for

GOAL: dict[str, object] = {"goal": "Summarise the incident notes"}
EVENT: dict[str, object] = {
    "specversion": "1.0",
    "id": "k",
    "source": "/test",
    "type": "io.ganglion.task.submitted.v1",
    "data": {"spec": GOAL},
}
JSON_OF = {"/api/v1/tasks": "application/json", "/api/v1/events": "application/cloudevents+json"}


async def ready(client: httpx.AsyncClient) -> bool:
    """Both servers answer the gateway; whether a keeper was heard is for the tests that start one."""
    checks = (await client.get("/readyz?verbose")).json()["checks"]
    return bool(checks["nats"]["ok"] and checks["postgres"]["ok"])


@pytest.fixture
async def lonely(servers: Servers) -> AsyncGenerator[RunningGateway]:
    """A gateway on servers of its own, and no keeper yet."""
    async with Connection(BusSettings(nats_url=SecretStr(servers.nats_url)), "test") as client:
        await apply(client)
    async with running_gateway(settings_for(servers.nats_url, servers.database_url)) as running:
        async with running.client() as http:
            await eventually(lambda: ready(http))
        yield running


async def test_with_nats_killed_work_is_refused_quickly_and_taken_again_afterwards(
    lonely: RunningGateway, servers: Servers
) -> None:
    async with lonely.client() as client:
        await servers.nats.kill()
        began = time.monotonic()
        answer = await client.post("/submit", json=GOAL)
        assert time.monotonic() - began < 2 * PATIENCE
        assert (answer.status_code, answer.json()["code"]) == (503, "bus_unavailable")
        assert answer.json()["retryable"] is True
        assert int(answer.headers["retry-after"]) >= 1
        assert (await client.get("/readyz")).status_code == 503
        assert (await client.get("/livez")).status_code == 200
        await servers.nats.start()
        await eventually(lambda: ready(client), within=15)
        assert (await client.post("/submit", json=GOAL)).status_code == 202


async def test_with_nats_paused_the_outcome_is_unknown_within_two_seconds(
    lonely: RunningGateway, servers: Servers
) -> None:
    async with lonely.client() as client:
        freeze(family(servers.nats.pid))
        began = time.monotonic()
        answer = await client.post("/submit", json=GOAL, headers={"Idempotency-Key": "k"})
        assert time.monotonic() - began < 2 * PATIENCE
        servers.nats.resume()
        body = answer.json()
        assert (answer.status_code, body["code"], body["idempotency_key"]) == (503, "outcome_unknown", "k")
        again = await client.post("/submit", json=GOAL, headers={"Idempotency-Key": "k"})
        assert (again.status_code, again.json()["task_id"]) == (202, body["task_id"])


async def test_with_postgres_away_work_is_kept_in_the_log_and_readable_here(
    lonely: RunningGateway, servers: Servers
) -> None:
    async with lonely.client() as client:
        await servers.postgres.kill()
        answers = [await client.post("/api/v1/tasks", json=GOAL) for _ in range(3)]
        assert {(answer.status_code, answer.json()["durability"]) for answer in answers} == {(202, "log")}
        began = time.monotonic()
        quick = await client.post("/api/v1/tasks", json=GOAL)
        assert (quick.status_code, time.monotonic() - began < 0.2 * PATIENCE) == (202, True)
        task = await client.get(quick.headers["location"])
        assert (task.status_code, task.json()["status"]) == (200, "submitted")
        gone = await client.get("/api/v1/tasks")
        assert (gone.status_code, gone.json()["code"]) == (503, "store_unavailable")
        for path in ("/ready", "/readyz"):
            assert (await client.get(path)).status_code == 503
        missing = (await client.get("/ready")).json()
        assert missing["checks"]["database"] is False
        assert missing["error"] == {"ready": missing["ready"], "checks": missing["checks"]}, "as its document has it"
        key = {"Idempotency-Key": "k"}
        first, second = [await client.post("/submit", json=GOAL, headers=key) for _ in range(2)]
        assert (first.json()["task_id"], second.headers["idempotency-replayed"]) == (second.json()["task_id"], "true")
        assert (await client.post("/submit", json={"goal": "other"}, headers=key)).status_code == 409
        await servers.postgres.start()
        bus = BusSettings(nats_url=SecretStr(servers.nats_url))
        async with Connection(bus, "test") as nats, FakeKeeper(nats, servers.database_url):
            await eventually(lambda: ready(client), within=15)
            await eventually(lambda: kept_twice(client), within=15)


@pytest.mark.parametrize(
    ("path", "body", "outcome"),
    [
        ("/api/v1/tasks", GOAL, "applied"),
        ("/api/v1/tasks", GOAL, "duplicate"),
        ("/api/v1/events", EVENT, "duplicate"),
    ],
)
async def test_no_row_is_promised_while_nobody_can_see_whose_body_it_holds(
    path: str, body: dict[str, object], outcome: str, lonely: RunningGateway, servers: Servers
) -> None:
    """What the keeper announces may be said of another body under the same key, which the log has forgotten."""
    headers = {"Idempotency-Key": "k", "Content-Type": JSON_OF[path]}
    async with lonely.client() as client, Connection(BusSettings(nats_url=SecretStr(servers.nats_url)), "test") as nats:
        heard = await nats.subscribe("bus.>")
        await nats.flush()
        await servers.postgres.kill()
        asking = asyncio.create_task(client.post(path, content=json.dumps(body), headers=headers))
        submitted = decode((await heard.next_msg(timeout=5 * PATIENCE)).data)
        told = Committed(epoch="e", position=1, outcomes={submitted.id: outcome})
        await nats.publish(COMMITTED, told.model_dump_json().encode())
        answer = await asking
        assert answer.status_code == 202, answer.text
        assert (answer.json()["durability"], "idempotency-replayed" in answer.headers) == ("log", False)


async def kept_twice(client: httpx.AsyncClient) -> bool:
    answer = await client.post("/api/v1/tasks", json=GOAL)
    return answer.status_code == 202 and answer.json()["durability"] == "log+database"


async def test_without_a_keeper_work_is_taken_for_a_while_and_then_shed(
    lonely: RunningGateway, servers: Servers
) -> None:
    async with lonely.client() as client:
        first = await client.post("/submit", json=GOAL)
        assert (first.status_code, first.json()["durability"]) == (202, "log")

        async def shed() -> httpx.Response | None:
            answer = await client.post("/submit", json=GOAL)
            return answer if answer.status_code == 503 else None

        answer = await eventually(shed, within=12, every=0.3)
        assert answer is not None
        assert answer.json()["code"] == "overloaded"
        assert int(answer.headers["retry-after"]) >= 1
        divided = await client.post(f"/api/v1/tasks/{first.json()['task_id']}/decompose")
        assert (divided.status_code, divided.json()["code"]) == (503, "overloaded")
        bus = BusSettings(nats_url=SecretStr(servers.nats_url))
        async with Connection(bus, "test") as nats, FakeKeeper(nats, servers.database_url):
            await eventually(lambda: kept_twice(client), within=10)


async def test_a_new_epoch_while_waiting_publishes_again(lonely: RunningGateway, servers: Servers) -> None:
    bus = BusSettings(nats_url=SecretStr(servers.nats_url))
    async with lonely.client() as client, Connection(bus, "test") as nats:
        async with FakeKeeper(nats, servers.database_url) as keeper:
            assert await kept_twice(client)
            keeper.pause()
            asking = asyncio.create_task(client.post("/submit", json=GOAL))
            js = nats.jetstream()
            await eventually(lambda: has_messages(js, 2))
            await js.delete_stream("BUS")
            await apply(nats)
        async with FakeKeeper(nats, servers.database_url) as successor:
            answer = await asking
            assert (answer.status_code, answer.json()["durability"]) == (202, "log+database")
            assert successor.epoch > keeper.epoch


async def test_a_body_that_was_published_twice_is_no_repeat_of_the_one_that_was_kept(
    lonely: RunningGateway, servers: Servers
) -> None:
    """The log has forgotten the first; what it holds under the key is what we put there ourselves a moment ago."""
    bus, key = BusSettings(nats_url=SecretStr(servers.nats_url)), {"Idempotency-Key": "k"}
    database = await asyncpg.connect(servers.database_url)
    async with lonely.client() as client, Connection(bus, "test") as nats:
        js = nats.jetstream()
        async with FakeKeeper(nats, servers.database_url):
            await eventually(lambda: kept_twice(client))
            first = (await client.post("/api/v1/tasks", json=GOAL, headers=key)).json()["task_id"]
        await js.delete_stream("BUS")
        await apply(nats)
        hidden = await database.fetchval("UPDATE task SET id = gen_random_uuid() WHERE id = $1 RETURNING id", first)
        asking = asyncio.create_task(client.post("/api/v1/tasks", json={"goal": "other"}, headers=key))
        await eventually(lambda: has_messages(js, 1))
        event = decode((await js.get_msg("BUS", seq=1)).data or b"")
        await database.execute("UPDATE task SET id = $2 WHERE id = $1", hidden, first)

        async def answered() -> bool:
            told = Committed(epoch="z", position=1, outcomes={event.id: "duplicate"} if began else {})
            began.append(True)
            await nats.publish(COMMITTED, told.model_dump_json().encode())
            return asking.done()

        began: list[bool] = []
        await eventually(answered, every=0.05)
        assert (await asking).status_code == 409, (await asking).text
    await database.close()


async def has_messages(js: object, count: int) -> bool:
    info = await js.stream_info("BUS")  # type: ignore[attr-defined] # a JetStreamContext
    return bool(info.state.messages >= count)


async def test_a_gateway_starts_while_nats_is_away(servers: Servers) -> None:
    await servers.nats.kill()
    settings = settings_for(servers.nats_url, servers.database_url)
    async with running_gateway(settings) as running, running.client() as client:
        assert (await client.get("/livez")).status_code == 200
        answer = await client.post("/submit", json=GOAL)
        assert (answer.status_code, answer.json()["code"]) == (503, "bus_unavailable")
        await servers.nats.start()
        async with Connection(BusSettings(nats_url=SecretStr(servers.nats_url)), "test") as nats:
            await apply(nats)
        await eventually(lambda: taken(client), within=15)


async def taken(client: httpx.AsyncClient) -> bool:
    return (await client.post("/submit", json=GOAL)).status_code == 202


async def test_a_gateway_that_heard_no_keeper_yet_is_not_ready(lonely: RunningGateway) -> None:
    async with lonely.client() as client:
        await eventually(lambda: ready(client))
        answer = await client.get("/readyz?verbose")
        assert (answer.status_code, answer.json()["checks"]["keeper"]["ok"]) == (503, False)


async def test_a_token_that_cannot_be_checked_now_is_no_bad_token(nats_url: str, database_url: str) -> None:
    keys = AuthSettings(jwt_secret=None, jwt_public_key=None, jwks_url=f"http://127.0.0.1:{free_port()}/keys")
    settings = replace(settings_for(nats_url, database_url), auth=keys)
    async with running_gateway(settings) as gateway, gateway.client() as alice, gateway.socket() as socket:
        answer = await alice.get("/api/v1/tasks")
        assert (answer.status_code, answer.json()["code"]) == (503, "keys_unavailable")
        assert 1 <= int(answer.headers["retry-after"]) <= 30
        assert await socket.closed() == (1013, "keys_unavailable")
