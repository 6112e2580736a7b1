"""Canaries in every field of every kind of request: afterwards they are where raw text belongs, and nowhere else."""

import asyncio
import json
import secrets
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
import yaml
from pydantic import JsonValue, SecretStr

from cli.demo.sample import load
from events.base import JsonObject
from producers.agent import Agent, Context, Task
from producers.connect import BusSettings, Connection
from tests.support.canaries import in_logs, in_redis, in_streams, in_tables
from tests.support.eventually import eventually
from tests.support.infrastructure import server_folder
from tests.support.stack import Stack, running_stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

Body = dict[str, JsonValue]
SUBMITTED = "io.ganglion.task.submitted.v1"
RAW = (f"table event_log.body {SUBMITTED}", "table task.spec", "table message.content user")
"""Where what a user wrote may lie (DESIGN 5), and where it stands in the stream."""
MESSAGE = "message.appended"
"""The event of a user's own message row: in the stream and in `event_log` as in the row, for its owner."""

POLICY = {
    "profiles": {
        "default": {},
        "lenient": {
            "pii": dict.fromkeys(("critical", "high"), "redact"),
            "secrets": dict.fromkeys(("critical", "high"), "redact"),
        },
    },
    "assign": {"*/*": "default", "lenient/*": "lenient"},
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack() -> AsyncGenerator[Stack]:
    """A stack whose tenant `lenient` has data redacted instead of blocked."""
    with server_folder() as folder:
        (folder / "policy.yaml").write_text(yaml.safe_dump(POLICY))
        async with running_stack({"GANGLION_POLICY": str(folder / "policy.yaml")}) as running:
            yield running


class Canaries:
    """Secrets that no rule overlooks and that occur nowhere else."""

    def __init__(self) -> None:
        self.all: list[str] = []

    def key(self) -> str:
        canary = "ghp_" + "".join(secrets.choice("aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY") for _ in range(36))
        self.all.append(canary)
        return canary

    def task(self, goal: str) -> Body:
        return {
            "goal": f"{goal} The key is {self.key()} by the way.",
            "context": {
                "text": f"See {self.key()}.",
                "refs": [f"https://example.com/?token={self.key()}"],
                "data": {"note": [self.key()], self.key(): "a key as a key"},
            },
            "constraints": {"style": f"plain, {self.key()}"},
            "acceptance_criteria": [f"names {self.key()}"],
            "metadata": {"sample": {"deep": self.key()}},
        }


async def ended(client: httpx.AsyncClient, task_id: object) -> Body:
    async def over() -> Body | None:
        task: Body = (await client.get(f"/api/v1/tasks/{task_id}")).json()
        return task if task.get("finished_at") else None

    found = await eventually(over, within=20)
    assert found is not None
    return found


async def converse(client: httpx.AsyncClient, canaries: Canaries, *, blocks: bool) -> None:
    """Two turns of a conversation with a key in each; where policy redacts, the answer knows them by their names."""
    said: Body = {"message": f"My key is {canaries.key()}, keep it in mind."}
    answer = await client.post("/api/dev/chat", json=said)
    if blocks:
        assert answer.status_code == 422, answer.text
        assert answer.json()["error_code"] == "blocked_by_policy"
        assert not any(canary in answer.text for canary in canaries.all)
        return
    assert answer.status_code == 200, answer.text
    said = {"message": f"And {canaries.key()} is the other. What is my key?"}
    answer = await client.post("/api/dev/chat", json={**said, "conversation_id": answer.json()["conversation_id"]})
    assert answer.status_code == 200, answer.text
    replies = [message for message in answer.json()["messages"] if message["role"] == "assistant"]
    assert len(replies) == 2
    assert not any(canary in str(replies) for canary in canaries.all)


async def walk(stack: Stack, canaries: Canaries) -> None:
    """The demo's samples with canaries in all their fields, for a tenant that blocks and one that redacts."""
    for tenant, status in (("dev", {"blocked"}), ("lenient", {"succeeded", "blocked"})):
        async with stack.client(tenant=tenant) as client:
            bodies = [canaries.task(sample.goal[:300]) for sample in load()]
            answers = await asyncio.gather(*(client.post("/api/v1/tasks", json=body) for body in bodies))
            assert [answer.status_code for answer in answers] == [202] * len(bodies), answers[0].text
            tasks = await asyncio.gather(*(ended(client, answer.json()["task_id"]) for answer in answers))
            assert {str(task["status"]) for task in tasks} == status
            for task in tasks:
                told = str({name: value for name, value in task.items() if name not in {"goal", "prompt", "spec"}})
                seen = [name for name in task if any(canary in str(task[name]) for canary in canaries.all)]
                assert set(seen) <= {"goal", "prompt", "context", "constraints", "acceptance_criteria", "metadata"}, (
                    told
                )
            await converse(client, canaries, blocks=tenant == "dev")
            await client.post("/process", json={"text": f"{'All is well. ' * 400}{canaries.key()}"})
            await client.post("/api/v1/tasks", content=f'{{"goal": "{canaries.key()}", ')
            await client.post("/api/v1/tasks", json={"goal": "x", canaries.key(): canaries.key()})
            await client.get(f"/api/v1/tasks/{canaries.key()}")


async def test_what_was_written_is_where_raw_text_belongs_and_nowhere_else(stack: Stack) -> None:
    canaries = Canaries()
    await walk(stack, canaries)
    found: dict[str, list[str]] = {}

    def search(place: str, text: str) -> None:
        own_words = MESSAGE in place and '"role":"user"' in text.replace(" ", "")
        if not own_words and (hits := [canary for canary in canaries.all if canary in text]):
            found.setdefault(place, []).extend(hits)

    for place, text in in_logs(stack.supervisor.home):
        search(place, text)
    async with Connection(BusSettings(nats_url=SecretStr(stack.runtime.nats_url)), "test") as client:
        async for place, text in in_streams(client):
            search(place, text)
    async for place, text in in_tables(stack.runtime.database_url):
        search(place, text)
    async for place, text in in_redis(stack.runtime.redis_url):
        search(place, text)
    leaks = {p: hits for p, hits in found.items() if not p.startswith(RAW) and ".task.submitted." not in p}
    assert leaks == {}
    assert any(place.startswith(RAW[0]) for place in found), "the search finds nothing at all"


async def test_who_may_see_a_task_may_learn_what_its_placeholders_stand_for(stack: Stack) -> None:
    key = Canaries().key()
    async with stack.client("ann", "lenient") as ann, stack.client("bob", "lenient", ("tasks:read",)) as bob:
        answer = await ann.post("/api/v1/tasks", json={"goal": f"Summarise: the key {key} was lost. It was found."})
        path = f"/api/v1/tasks/{answer.json()['task_id']}"
        task = await ended(ann, answer.json()["task_id"])
        assert task["status"] == "succeeded"
        assert "[GITHUB_TOKEN_1]" in str(task["result"])
        assert (await ann.get(f"{path}/placeholders")).json()["placeholders"] == {"GITHUB_TOKEN_1": key}
        assert (await bob.get(f"{path}/placeholders")).status_code == 404
    assert key not in "".join(text for _, text in in_logs(Path(stack.supervisor.home)))


async def test_a_refused_task_in_anothers_session_opens_none_of_its_placeholders(stack: Stack) -> None:
    key = Canaries().key()
    async with stack.client("ann", "lenient") as ann, stack.client("bob", "lenient") as bob:
        said = (await ann.post("/api/ann/chat", json={"message": f"My key is {key}, keep it in mind."})).json()
        own = await ann.get(f"/api/v1/tasks/{said['task_id']}/placeholders")
        assert own.json()["placeholders"] == {"GITHUB_TOKEN_1": key}
        asked = {
            "specversion": "1.0",
            "id": said["task_id"],
            "source": "/bob",
            "type": SUBMITTED,
            "sessionid": said["conversation_id"],
            "data": {"spec": {"prompt": "Which key was it?"}},
        }
        structured = {"Content-Type": "application/cloudevents+json"}
        refused = (await bob.post("/api/v1/events", content=json.dumps(asked), headers=structured)).json()["task_id"]
        assert (await ended(bob, refused))["reason"] == "unknown_session"
        told = await bob.get(f"/api/v1/tasks/{refused}/placeholders")
        assert told.json() == {"placeholders": {}, "lost": []}


async def test_what_an_outside_agent_says_has_the_same_placeholders_in_its_event_as_in_the_result(stack: Stack) -> None:
    asked, found = Canaries().key(), Canaries().key()

    async def handle(task: Task, _: Context) -> JsonObject:
        return {"text": f"{task.prompt} It is {found}.", found: "a key as a key"}

    scopes = ("tasks:read", "tasks:write", "agents:write")
    agent = Agent(
        "AGENT-FINDER", ["find"], url=stack.runtime.gateway_url, token=stack.token("registrar", "lenient", scopes)
    )
    agent.handler(handle)
    serving = asyncio.create_task(agent.serve())
    async with stack.client("cid", "lenient") as cid:
        body: Body = {"prompt": f"Not {asked}.", "required_capabilities": ["find"]}
        task_id = (await cid.post("/api/v1/tasks", json=body)).json()["task_id"]
        task = await ended(cid, task_id)
        events = (await cid.get(f"/api/v1/tasks/{task_id}/events")).json()["items"]
        placeholders = (await cid.get(f"/api/v1/tasks/{task_id}/placeholders")).json()["placeholders"]
    agent.drain()
    await asyncio.wait({serving}, timeout=10)
    serving.cancel()
    said = {"text": "Not [GITHUB_TOKEN_1]. It is [GITHUB_TOKEN_2].", "[GITHUB_TOKEN_2]": "a key as a key"}
    assert task["result"] == said
    assert [item["data"]["output"] for item in events if item["event"] == "run.finished"] == [said]
    assert placeholders == {"GITHUB_TOKEN_1": asked, "GITHUB_TOKEN_2": found}
