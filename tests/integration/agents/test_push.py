"""An outside agent that is called (the External Agent Protocol), through the real doors, router, keeper and runtime."""

import asyncio
from collections.abc import AsyncGenerator

import httpx
import pytest
import pytest_asyncio
from pydantic import JsonValue

from tests.support.agency import Agency, Json, Running
from tests.support.called_agent import Called, CalledAgent, Reply, called_agent, completed
from tests.support.eventually import eventually
from tests.support.webhooks import is_genuine

pytestmark = pytest.mark.asyncio(loop_scope="package")
NAME = "BOT-1"
NEEDS: Json = {"required_capabilities": ["push-me"]}


@pytest_asyncio.fixture(loop_scope="package")
async def pusher(agency: Agency) -> AsyncGenerator[Running]:
    running = await agency.pusher(heartbeat=0.2)
    yield running
    await running.stop()


@pytest_asyncio.fixture(loop_scope="package")
async def agent(pusher: Running, alice: httpx.AsyncClient) -> AsyncGenerator[CalledAgent]:
    """Somebody's agent, registered; it does what `answering` says."""

    async def done(called: Called) -> Reply:
        return completed(called)

    async with called_agent(done) as agent:
        yield agent


def at(value: JsonValue, *places: str) -> JsonValue:
    for place in places:
        assert isinstance(value, dict)
        value = value[place]
    return value


async def registered(http: httpx.AsyncClient, url: str, **more: JsonValue) -> Json:
    body = {"protocol_version": "1.0", "name": NAME, "capabilities": ["push-me"], "endpoint_url": url, **more}
    answer = await http.post("/api/v1/agents/external/register", json=body)
    assert answer.status_code == 201, answer.text
    made: Json = answer.json()
    return made


async def test_a_task_is_posted_to_its_agent_and_what_comes_back_is_kept(
    agency: Agency, alice: httpx.AsyncClient, agent: CalledAgent
) -> None:
    async def lived(task_id: str) -> bool:
        return any(event["type"] == "io.ganglion.run.progress.v1" for event in await agency.said(task_id))

    async def wrote(called: Called) -> Reply:
        await eventually(lambda: lived(str(called.task["task_id"])))
        report: Json = {"path": "out/report.md", "content": "# Done", "mime_type": "text/markdown; charset=utf-8"}
        return completed(called, artifacts=[report], tokens_used=12, cost_usd=0.25, execution_time_ms=9e9, more=1)

    agent.answering = wrote
    made = await registered(alice, f"{agent.url}/v1/")
    secret = str(made["signing_secret"])
    assert secret.startswith("whsec_")
    asked: Json = {"context": {"text": "Since Monday."}, "acceptance_criteria": ["short"], "metadata": {"ticket": 7}}
    task_id = await agency.submit(alice, "Fix it.", **NEEDS, **asked)
    task = await agency.becomes(alice, task_id, "succeeded")
    assert task["result"] == {"text": "done"}
    (call,) = agent.calls
    assert call.path == "/v1/task"
    assert is_genuine(secret, call.headers, call.body)
    said = call.task
    assert set(said) == {
        *("task_id", "session_id", "task_type", "context", "input_data", "requirements", "timeout_seconds"),
    }
    assert (said["task_id"], said["task_type"], said["timeout_seconds"]) == (task_id, "goal", 300)
    assert said["input_data"] == {"prompt": "Fix it.", "metadata": {"ticket": 7}}
    assert at(said, "context", "text") == "Since Monday."
    assert at(said, "requirements", "acceptance_criteria") == ["short"]
    assert call.headers["webhook-id"] == at(said, "context", "run_id")
    events = await agency.said(task_id)
    names = [str(event["type"]).removeprefix("io.ganglion.").removesuffix(".v1") for event in events]
    assert names.count("run.started") == names.count("run.finished") == names.count("task.succeeded") == 1
    assert "run.progress" in names
    (files,) = [event for event in events if event["type"] == "io.ganglion.run.files.v1"]
    assert at(files, "data", "files", "out/report.md", "content") == "# Done"
    assert at(files, "data", "files", "out/report.md", "media_type") == "text/markdown"
    (end,) = [event for event in events if event["type"] == "io.ganglion.run.finished.v1"]
    assert (at(end, "data", "usage", "tokens"), at(end, "data", "usage", "cost_usd")) == (12, 0.25)
    assert at(end, "data", "usage", "ms") != 9e9  # it is measured here
    row = await agency.doorstep.bus.database.fetchrow("SELECT * FROM agent WHERE id = $1", f"acme/{NAME}")
    everything = str(await agency.doorstep.bus.stream()) + str(dict(row or {}))
    for hidden in (secret, secret.removeprefix("whsec_"), str(made["auth_token"])):
        assert hidden not in everything


async def test_an_agent_is_registered_only_where_it_may_be_called(alice: httpx.AsyncClient) -> None:
    offer = {"name": "AGENT-CALLED", "capabilities": ["push-me"]}
    for wrong in ("http://agent.example", "https://10.0.0.1", "https://169.254.169.254", "https://u:p@a.example", "x"):
        for path, body in (("", offer), ("/external/register", {**offer, "protocol_version": "1"})):
            answer = await alice.post(f"/api/v1/agents{path}", json={**body, "endpoint_url": wrong})
            assert answer.status_code == 422, (path, wrong)
            assert [fault["field"] for fault in answer.json()["errors"]] == ["endpoint_url"]
    made = (await alice.post("/api/v1/agents", json={**offer, "endpoint_url": "https://agent.example/x"})).json()
    assert made["agent"]["endpoint_url"] == "https://agent.example/x"
    again = (await alice.post("/api/v1/agents", json={**offer, "endpoint_url": "https://agent.example/x"})).json()
    assert made["signing_secret"] != again["signing_secret"]
    pulls = (await alice.post("/api/v1/agents", json=offer)).json()
    assert (pulls["signing_secret"], pulls["agent"]["endpoint_url"]) == (None, None)


async def test_passing_trouble_is_tried_again_within_the_attempt(
    agency: Agency, alice: httpx.AsyncClient, agent: CalledAgent
) -> None:
    async def at_last(called: Called) -> Reply | None:
        return (None, Reply(503), completed(called))[min(len(agent.calls), 3) - 1]

    agent.answering = at_last
    await registered(alice, agent.url)
    task = await agency.becomes(alice, await agency.submit(alice, "Do it.", **NEEDS), "succeeded")
    assert task["attempt"] == 1
    assert len({call.headers["webhook-id"] for call in agent.calls}) == 1
    assert len(agent.calls) == 3


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ({"status": "failed", "error_message": "No paper."}, ("agent_error", "No paper.")),
        ({"status": "failed"}, ("agent_error", "The agent says that it failed.")),
        ({"status": "unheard of"}, ("invalid_answer", None)),
        ({"task_id": "0b0e7bd3-1b66-4f4c-9d0a-3b9ef3d2f7aa"}, ("invalid_answer", None)),
        ({"artifacts": [{"path": "../etc/passwd", "content": ""}]}, ("hostile_files", None)),
        ({"artifacts": [{"path": "a", "content": ""}, {"path": "a", "content": "b"}]}, ("invalid_answer", None)),
        ({"output_data": {"text": "x" * 720_000}}, ("output_too_large", None)),
        ({"tokens_used": -1}, ("invalid_answer", None)),
        (422, ("agent_refused", "The agent refuses the task (422).")),
    ],
    ids=str,
)
async def test_what_is_no_good_answer_ends_the_task_for_good_and_says_why(
    agency: Agency, alice: httpx.AsyncClient, agent: CalledAgent, reply: Json | int, said: tuple[str, str | None]
) -> None:
    async def answer(called: Called) -> Reply:
        return Reply(reply) if isinstance(reply, int) else completed(called, **reply)

    agent.answering = answer
    await registered(alice, agent.url)
    task = await agency.becomes(alice, await agency.submit(alice, "Do it.", **NEEDS), "failed")
    error = task["error"]
    assert isinstance(error, dict)
    assert (error["code"], task["attempt"], len(agent.calls)) == (said[0], 1, 1)
    assert said[1] in (None, error["message"])


async def test_what_an_agent_brings_back_is_screened(
    agency: Agency, alice: httpx.AsyncClient, agent: CalledAgent
) -> None:
    key = "AKIA" + "Q3EGRWDJ7KZT4XYN"

    async def leaks(called: Called) -> Reply:
        return completed(called, output_data={"text": f"a\0b {key}"}, artifacts=[{"path": "a.txt", "content": key}])

    agent.answering = leaks
    await registered(alice, agent.url)
    task_id = await agency.submit(alice, "Do it.", **NEEDS)
    task = await agency.becomes(alice, task_id, "succeeded")
    assert task["result"] == {"text": "a\ufffdb [AWS_ACCESS_KEY_1]"}
    (files,) = [event for event in await agency.said(task_id) if event["type"] == "io.ganglion.run.files.v1"]
    assert at(files, "data", "findings")  # files are noted and never changed, whoever wrote them


async def test_a_cancel_drops_the_call(agency: Agency, alice: httpx.AsyncClient, agent: CalledAgent) -> None:
    async def never(_: Called) -> None:
        await asyncio.Event().wait()

    agent.answering = never
    await registered(alice, agent.url)
    task_id = await agency.submit(alice, "Do it.", **NEEDS)
    await agency.becomes(alice, task_id, "running")
    await eventually(lambda: len(agent.calls) == 1)
    assert (await alice.post(f"/api/v1/tasks/{task_id}/cancel")).status_code == 200
    await eventually(lambda: agent.dropped == 1, within=1)
    assert (await agency.task(alice, task_id))["status"] == "cancelled"

    async def ended() -> bool:
        return any(event["type"] == "io.ganglion.run.finished.v1" for event in await agency.said(task_id))

    await eventually(ended)
    assert len(agent.calls) == 1


async def test_who_takes_too_long_is_hung_up_on(agency: Agency, alice: httpx.AsyncClient, agent: CalledAgent) -> None:
    async def never(_: Called) -> None:
        await asyncio.Event().wait()

    agent.answering = never
    await registered(alice, agent.url)
    task_id = await agency.submit(alice, "Do it.", **NEEDS, budget={"max_time_seconds": 1})
    task = await agency.becomes(alice, task_id, "timed_out")
    assert task["reason"] == "agent_timeout"
    assert agent.calls[0].task["timeout_seconds"] == 1
    await eventually(lambda: agent.dropped == 1)


async def test_five_runs_that_fail_open_the_breaker_and_the_next_task_waits(
    agency: Agency, alice: httpx.AsyncClient, agent: CalledAgent
) -> None:
    async def refuses(_: Called) -> Reply:
        return Reply(422)

    agent.answering = refuses
    await registered(alice, agent.url)
    for _ in range(5):
        await agency.becomes(alice, await agency.submit(alice, "Do it.", **NEEDS), "failed")
    task_id = await agency.submit(alice, "Do it.", **NEEDS)

    async def waits() -> bool:
        return bool((await agency.task(alice, task_id))["waiting_for"] == "agent: all_open")

    await eventually(waits)
    assert len(agent.calls) == 5


async def test_an_agent_may_begin_to_be_called_and_to_pull_again(
    agency: Agency, alice: httpx.AsyncClient, agent: CalledAgent
) -> None:
    await registered(alice, agent.url)
    await agency.becomes(alice, await agency.submit(alice, "Do it.", **NEEDS), "succeeded")
    body = {"protocol_version": "1.0", "name": NAME, "capabilities": ["push-me"]}
    assert (await alice.post("/api/v1/agents/external/register", json=body)).status_code == 201
    task_id = await agency.submit(alice, "Do it.", **NEEDS)
    await agency.becomes(alice, task_id, "assigned")

    async def queued() -> bool:
        info = await agency.doorstep.bus.client.jetstream().consumer_info("WORK", f"acme~{NAME}")
        return bool(info.num_pending == 1)

    await eventually(queued)
    assert len(agent.calls) == 1
