"""Dead letters over HTTP: who sees them, what a replay brings about, and that it does so once."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

import httpx
import pytest

from consumers._feed import Feed
from consumers._runtime import Flow
from deploy.local.server import Server
from events import Event, EventData, TaskChecked, TaskSubmitted
from events.errors import InvalidEventError
from events.streams import Durable
from producers.topology import consumer_config
from tests.support.eventually import eventually
from tests.support.running_gateway import RunningGateway, running_gateway, settings_for, token
from tests.support.running_keeper import Bus, a_bus, checked

REFLEX = Durable("reflex", (TaskSubmitted,), outputs=(TaskChecked,), ack_wait=2.0, max_deliver=2, retry=(0.1,))
GOAL = {"goal": "Summarise the incident notes"}


class Reflex:
    """Screens, once it is mended."""

    def __init__(self) -> None:
        self.is_broken = True
        self.seen: list[str] = []

    async def __call__(self, event: Event[EventData]) -> Sequence[EventData]:
        self.seen.append(event.id)
        if self.is_broken:
            raise InvalidEventError("a secret of the user")
        return [checked(event)]


@dataclass
class Place:
    """A gateway, a real keeper, and a reflex layer that does as the test says."""

    bus: Bus
    gateway: RunningGateway
    reflex: Reflex

    def client(self, owner: str = "alice", tenant: str = "acme", *, admin: bool = False) -> httpx.AsyncClient:
        scopes = ("tasks:read", "tasks:write", *(("admin",) if admin else ()))
        return self.gateway.client(token(owner, tenant=tenant, scopes=scopes))

    async def letters(self, client: httpx.AsyncClient, **filters: object) -> list[dict[str, object]]:
        answer = await client.get("/api/v1/dlq", params={name: str(value) for name, value in filters.items()})
        assert answer.status_code == httpx.codes.OK, answer.text
        return list(answer.json()["items"])

    async def dead_task(self, client: httpx.AsyncClient) -> str:
        """A task that ends because nobody could screen it."""
        task_id = str((await client.post("/submit", json=GOAL)).json()["task_id"])
        await eventually(lambda: self.has_status(client, task_id, "failed"))
        return task_id

    async def has_status(self, client: httpx.AsyncClient, task_id: str, status: str) -> bool:
        return bool((await client.get(f"/api/v1/tasks/{task_id}")).json()["status"] == status)


@pytest.fixture
async def place(module_nats_server: Server, database_url: str) -> AsyncGenerator[Place]:
    async with a_bus(module_nats_server.url, database_url) as bus:
        await bus.keeper()
        await bus.client.jetstream().add_consumer("BUS", consumer_config(REFLEX))
        reflex = Reflex()
        feeding = asyncio.create_task(Feed(bus.client, bus.publisher, Flow(REFLEX, reflex)).run())
        async with running_gateway(settings_for(module_nats_server.url, database_url)) as running:
            async with running.client() as client:
                await eventually(lambda: is_ready(client))
            yield Place(bus, running, reflex)
        feeding.cancel()


async def is_ready(client: httpx.AsyncClient) -> bool:
    return (await client.get("/readyz")).status_code == httpx.codes.OK


async def test_a_letter_is_its_tenants_admins_to_see_and_says_nothing_of_the_text(place: Place) -> None:
    async with place.client() as alice, place.client("root", admin=True) as admin:
        task_id = await place.dead_task(alice)
        (letter,) = await place.letters(admin)
        assert (letter["consumer"], letter["reason"], letter["task_id"]) == ("reflex", "invalid_event", task_id)
        assert (await place.letters(admin, consumer="router")) == []
        one = await admin.get(f"/api/v1/dlq/{letter['number']}")
        assert one.json() == {**letter, "body": None, "headers": None}
        assert "secret" not in one.text + str(letter)
        assert "incident" not in one.text + str(letter)
        async with place.client("root", "other", admin=True) as stranger:
            assert await place.letters(stranger) == []
            for answer in [
                await stranger.get(f"/api/v1/dlq/{letter['number']}"),
                await stranger.post(f"/api/v1/dlq/{letter['number']}/replay"),
                await stranger.delete(f"/api/v1/dlq/{letter['number']}"),
            ]:
                assert answer.status_code == httpx.codes.NOT_FOUND
        assert (await alice.get("/api/v1/dlq")).status_code == httpx.codes.FORBIDDEN
        assert (await alice.post(f"/api/v1/dlq/{letter['number']}/replay")).status_code == httpx.codes.FORBIDDEN


async def test_a_replay_takes_the_task_on_from_where_it_fell_and_only_once(place: Place) -> None:
    async with place.client() as alice, place.client("root", admin=True) as admin:
        task_id = await place.dead_task(alice)
        (letter,) = await place.letters(admin)
        place.reflex.is_broken = False
        replay = f"/api/v1/dlq/{letter['number']}/replay"
        answers = await asyncio.gather(admin.post(replay), admin.post(replay))
        assert {answer.status_code for answer in answers} <= {httpx.codes.OK, httpx.codes.NOT_FOUND}
        assert "applied" in [answer.json().get("task") for answer in answers]
        await eventually(lambda: place.has_status(alice, task_id, "ready"))
        assert await place.letters(admin) == []
        found = (await alice.get(f"/api/v1/tasks/{task_id}")).json()
        assert (found["attempt"], found["waiting_for"]) == (1, "agent")
        assert (await admin.post(replay)).status_code == httpx.codes.NOT_FOUND
    rows = await place.bus.database.fetch("SELECT outcome FROM event_log WHERE type LIKE '%task.checked.v1'")
    assert [row["outcome"] for row in rows] == ["applied"]


async def test_a_repeat_of_a_replay_under_a_key_gets_the_first_answer(place: Place) -> None:
    async with place.client() as alice, place.client("root", admin=True) as admin:
        task_id = await place.dead_task(alice)
        (letter,) = await place.letters(admin)
        place.reflex.is_broken = False
        path, headers = f"/api/v1/dlq/{letter['number']}/replay", {"Idempotency-Key": "once"}
        first = await admin.post(path, headers=headers)
        assert (first.status_code, first.json()["task"]) == (httpx.codes.OK, "applied")
        assert "idempotency-replayed" not in first.headers
        await eventually(lambda: place.has_status(alice, task_id, "ready"))
        again = await admin.post(path, headers=headers)
        assert (again.status_code, again.headers["idempotency-replayed"]) == (httpx.codes.OK, "true")
        assert again.json() == first.json()
        other = await admin.post("/api/v1/dlq/4711/replay", headers=headers)
        assert (other.status_code, other.json()["code"]) == (httpx.codes.CONFLICT, "idempotency_conflict")
        for key in ({}, {"Idempotency-Key": "another"}):
            assert (await admin.post(path, headers=key)).status_code == httpx.codes.NOT_FOUND
    rows = await place.bus.database.fetch("SELECT outcome FROM event_log WHERE type LIKE '%letter.replay.v1'")
    assert [row["outcome"] for row in rows] == ["applied"]


async def test_what_fails_again_is_a_letter_again_and_its_task_ends_again(place: Place) -> None:
    async with place.client() as alice, place.client("root", admin=True) as admin:
        task_id = await place.dead_task(alice)
        (first,) = await place.letters(admin)
        assert (await admin.post(f"/api/v1/dlq/{first['number']}/replay")).json()["task"] == "applied"
        (second,) = await eventually(lambda: place.letters(admin))
        assert second["number"] != first["number"]
        await eventually(lambda: place.has_status(alice, task_id, "failed"))
        assert (await admin.delete(f"/api/v1/dlq/{second['number']}")).status_code == httpx.codes.NO_CONTENT
        assert await place.letters(admin) == []
        assert (await admin.delete(f"/api/v1/dlq/{second['number']}")).status_code == httpx.codes.NOT_FOUND


async def test_a_task_that_went_on_by_itself_gets_the_same_event_once_more_and_nothing_twice(place: Place) -> None:
    async with place.client() as alice, place.client("root", admin=True) as admin:
        task_id = await place.dead_task(alice)
        (letter,) = await place.letters(admin)
        place.reflex.is_broken = False
        assert (await alice.post(f"/api/v1/tasks/{task_id}/retry")).status_code == httpx.codes.OK
        await eventually(lambda: place.has_status(alice, task_id, "ready"))
        answer = await admin.post(f"/api/v1/dlq/{letter['number']}/replay")
        assert answer.json()["task"] == "refused:not_retryable"
        await eventually(lambda: place.reflex.seen.count(str(letter["event_id"])) == 2)
        await place.bus.folded()
        assert await place.has_status(alice, task_id, "ready")
        events = (await alice.get(f"/api/v1/tasks/{task_id}/events")).json()["items"]
        assert [event["event"] for event in events].count("task.ready") == 1


async def test_bytes_that_are_no_event_are_shown_and_can_be_tried_again(place: Place) -> None:
    async with place.client("root", admin=True) as admin:
        await (await place.bus.publisher.send_bytes("bus.acme.task.submitted.0", b"{", "garbage"))
        letters = await eventually(lambda: _both(place, admin))
        assert {letter["consumer"] for letter in letters} == {"reflex", "keeper"}
        number = letters[0]["number"]
        one = (await admin.get(f"/api/v1/dlq/{number}")).json()
        assert (one["body"], one["event_id"], one["task_id"]) == ("ew==", None, None)
        answer = await admin.post(f"/api/v1/dlq/{number}/replay")
        assert (answer.status_code, answer.json()["task"]) == (httpx.codes.OK, None)
        await eventually(lambda: _more_than(place, admin, 2))


async def _both(place: Place, admin: httpx.AsyncClient) -> list[dict[str, object]]:
    found = await place.letters(admin)
    return found if len(found) == 2 else []


async def _more_than(place: Place, admin: httpx.AsyncClient, count: int) -> bool:
    return len(await place.letters(admin)) > count
