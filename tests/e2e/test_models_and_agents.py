"""A model and an agent of one's own on the whole stack; what docs/chat.md and docs/agents.md show is run."""

import asyncio
import inspect
import json
import os
import re
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

import gateway.app  # noqa: F401 - with it come all classes of errors
from events.errors import GanglionError
from producers.agent import Context
from tests.support.model_server import ModelServer, Says, model_server
from tests.support.stack import Stack, running_stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

Json = dict[str, object]
ROOT = Path(__file__).parents[2]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model() -> AsyncGenerator[ModelServer]:
    async with model_server(Says(("She is", " called", " Pepper."))) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def with_a_model(model: ModelServer) -> AsyncGenerator[Stack]:
    async with running_stack({"LLM_BASE_URL": model.url, "LLM_MODEL": "m-1", "LLM_API_KEY": "s3cret"}) as stack:
        yield stack


async def test_the_model_answers_every_turn_with_the_conversation_as_chat_messages(
    with_a_model: Stack, model: ModelServer
) -> None:
    said = ["My dog is called Pepper.", "We moved to Lisbon.", "What is the dog called?"]
    conversation = None
    async with with_a_model.client() as client:
        for message in said:
            answer = await client.post("/api/dev/chat", json={"message": message, "conversation_id": conversation})
            assert answer.status_code == 200, answer.text
            conversation = answer.json()["conversation_id"]
        told = [(line["role"], line["content"]) for line in answer.json()["messages"]]
        task = (await client.get(f"/api/v1/tasks/{answer.json()['task_id']}")).json()
    asked = model.asked[-1]["messages"]
    assert isinstance(asked, list)
    assert told == [pair for message in said for pair in (("user", message), ("assistant", "She is called Pepper."))]
    assert [(line["role"], line["content"]) for line in asked[1:]] == told[:-1]  # type: ignore[index,call-overload]  # JSON
    assert (len(model.asked), model.asked[-1]["model"], model.headers[-1]["authorization"]) == (
        3,
        "m-1",
        "Bearer s3cret",
    )
    assert (task["agent_id"], task["result"]["model"]) == ("llm", "m-1")


async def test_its_words_are_streamed_before_the_message_is_stored(with_a_model: Stack) -> None:
    events: list[tuple[str, Json]] = []
    body, headers = {"message": "What is the dog called?"}, {"Accept": "text/event-stream"}
    async with (
        with_a_model.client() as client,
        client.stream("POST", "/api/dev/chat", json=body, headers=headers) as answer,
    ):
        name = ""
        async for line in answer.aiter_lines():
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                events.append((name, json.loads(value)))
    names = [name for name, _ in events]
    assert (names[0], names[-2:]) == ("accepted", ["message", "end"])
    assert "".join(str(data["text"]) for name, data in events if name == "token") == "She is called Pepper."
    assert events[-2][1]["content"] == "She is called Pepper."


def page(name: str, language: str) -> list[str]:
    """The blocks of a page in one language."""
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs" / name).read_text(), re.DOTALL)


@asynccontextmanager
async def shell(stack: Stack, script: str, **more: str) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Some lines as a stranger would run them from the root of the tree; killed afterwards if they still run."""
    urls = {"GATEWAY": stack.runtime.gateway_url, "USER": "dev", "TOKEN": stack.token()}
    home = {"GANGLION_HOME": str(stack.supervisor.home), "NO_PROXY": "*"}
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", script, env={**os.environ, **urls, **home, **more}, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_the_lines_of_the_chat_page_are_answered_with_what_it_shows(with_a_model: Stack) -> None:
    talk, create = page("chat.md", "sh")
    (shown,) = page("chat.md", "json")
    wanted = json.loads(shown)
    async with shell(with_a_model, talk) as process:
        answered = json.loads((await process.communicate())[0])
    assert set(wanted) <= set(answered)
    assert (answered["status"], answered["title"]) == (wanted["status"], wanted["title"])
    for message, asked_for in zip(answered["messages"], wanted["messages"], strict=True):
        assert set(asked_for) <= set(message)
        assert (message["seq"], message["role"]) == (asked_for["seq"], asked_for["role"])
    async with shell(with_a_model, create) as process:
        created = json.loads((await process.communicate())[0])
    assert (created["title"], created["status"], created["tags"]) == ("Fix-Login-Bug", "pending", ["login"])


async def test_every_path_that_the_pages_name_is_served(with_a_model: Stack) -> None:
    async with with_a_model.client() as client:
        served = (await client.get("/openapi.json")).json()["paths"]
    known = {re.sub(r"\{\w+\}", "{}", path) for path in served}
    for name in ("chat.md", "agents.md"):
        text = (ROOT / "docs" / name).read_text()
        named = re.findall(r"`(?:(?:GET|POST|PATCH|DELETE) )?(/api/[^`?]*)[`?]", text)
        assert named
        assert {re.sub(r"\{\w+\}", "{}", path) for path in named} - known == set()


async def test_every_error_code_of_the_chat_page_is_one_of_ours() -> None:
    table = re.search(r"\| Status \|.*?\n\n", (ROOT / "docs" / "chat.md").read_text(), re.DOTALL)
    assert table is not None
    named = set(re.findall(r"`([a-z]+_[a-z_]+)`", table[0])) - {"error_code"}
    assert "agent_timeout" in named
    assert named - codes_of(GanglionError) == set()


def codes_of(error: type[GanglionError]) -> set[str]:
    return {error.code}.union(*(codes_of(kind) for kind in error.__subclasses__()))


async def test_the_agent_of_the_page_joins_does_a_task_and_leaves_when_told_to(with_a_model: Stack) -> None:
    shown, *_ = page("agents.md", "python")
    assert (ROOT / "examples" / "agents" / "count_words.py").read_text().endswith(f'"""\n\n{shown}')
    console, *_ = page("agents.md", "console")
    *before, last = [line.removeprefix("$ ") for line in console.strip().splitlines()]
    script = "\n".join((*before, f"exec {last}"))
    script = script.replace("http://127.0.0.1:8080", with_a_model.runtime.gateway_url)
    async with (
        shell(with_a_model, script.replace(".venv/bin", str(Path(sys.executable).parent))) as process,
        with_a_model.client() as client,
    ):
        asked = {"prompt": "The cat and the dog.", "required_capabilities": ["count-words"]}
        answer = await client.post("/api/v1/tasks", json=asked, headers={"Prefer": "wait=30"})
        task = answer.json()
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 20) == 0
        agent = (await client.get("/api/v1/agents/AGENT-COUNTER")).json()
    assert (task["status"], task["agent_id"]) == ("succeeded", "AGENT-COUNTER"), task
    assert task["result"]["text"] == "5 words, 4 different ones."
    assert agent["status"] == "gone"


async def test_every_call_of_the_agents_page_is_one_of_the_context() -> None:
    text = (ROOT / "docs" / "agents.md").read_text()
    calls = re.findall(r"\| `(?:await )?ctx\.(\w+)\(([^)]*)\)`", text)
    named = {"progress", "checkpoint", "say", "tool_call", "change_context", "files", "spent"}
    assert {name for name, _ in calls} == named
    for name, shown in calls:
        taken = list(inspect.signature(getattr(Context, name)).parameters)[1:]
        if not shown.startswith("{"):
            assert [word.strip() for word in shown.split(",")] == taken[: len(shown.split(","))]
