"""The engine with a model: what it says is streamed, what it leaves out is not lost, its failures are told apart."""

import asyncio
import json
import uuid
from collections.abc import AsyncGenerator

import httpx
import pytest
import pytest_asyncio
from pydantic import JsonValue

from engine.model import ModelAuthor, ModelSettings
from tests.support.databases import fresh_database
from tests.support.eventually import eventually
from tests.support.infrastructure import SharedServers
from tests.support.running_engine import EngineAddress, local_engine, text_of
from tests.support.stub_model import StubModel, stub_model

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_model() -> AsyncGenerator[StubModel]:
    async with stub_model() as model:
        yield model


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(shared: SharedServers, template: str, shared_model: StubModel) -> AsyncGenerator[EngineAddress]:
    author = ModelAuthor(ModelSettings(base_url=shared_model.url, model="m"))
    async with (
        fresh_database(shared.database_url, template=template) as url,
        local_engine(url, author, keep_days=1e-6) as running,
    ):
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def model(shared_model: StubModel) -> AsyncGenerator[StubModel]:
    yield shared_model
    shared_model.reset()


@pytest.fixture
def thread() -> str:
    return str(uuid.uuid4())


async def test_a_model_writes_the_files_and_the_rules_the_definition(
    engine: EngineAddress, model: StubModel, thread: str
) -> None:
    await engine.invoke(thread)
    state = await engine.ended(thread)
    assert state["result"]["tokens"] == model.tokens * model.asked
    assert text_of(state, "/THE_SPEC/plan.md").startswith("A model said")
    assert "with the model m" in text_of(state, "/THE_SPEC/plan.md")
    assert json.loads(text_of(state, "/definition.json"))["written_by"] == "model m"


async def test_a_budget_of_tokens_that_is_used_up_leaves_the_rest_to_the_rules(
    engine: EngineAddress, model: StubModel, thread: str
) -> None:
    model.tokens = 600
    await engine.invoke(thread, budget={"max_tokens": 2_500})
    state = await engine.ended(thread)
    assert 1 <= model.asked < 5
    assert state["result"]["tokens"] == 600 * model.asked <= 2_500
    assert text_of(state, "/THE_SPEC/requirements.md").startswith("A model said")
    assert not text_of(state, "/THE_CAST/CommunicationAgent.md").startswith("A model said")


async def test_what_a_model_leaves_out_is_not_lost(engine: EngineAddress, model: StubModel, thread: str) -> None:
    model.leaves_out = "**R-001**"
    await engine.invoke(thread)
    assert "- **R-001** Greet users" in text_of(await engine.ended(thread), "/THE_SPEC/requirements.md")


async def test_the_models_words_are_streamed_as_they_come(engine: EngineAddress, model: StubModel, thread: str) -> None:
    model.free = 0
    await engine.invoke(thread)
    await eventually(lambda: model.asked == 1, within=30)
    async with engine.stream(thread) as socket:
        first = json.loads(await socket.recv())
        assert sorted(first["data"]["files"]) == ["/orchestrator_plan.md", "/user_request.md"]
        model.gate.set()
        frame = json.loads(await socket.recv())
        assert frame["event_type"] == "on_llm_stream"
        assert frame["data"]["text"].startswith("A model said:")
        assert frame["data"]["raw_event"] == frame["data"]["text"]  # where the origin sent a repr
        assert frame["data"]["path"] == "/THE_SPEC/requirements.md"


async def test_a_model_that_is_away_fails_the_thread_retryably_and_a_second_invoke_goes_on(
    engine: EngineAddress, model: StubModel, thread: str
) -> None:
    model.fails = 503
    await engine.invoke(thread)
    state = await engine.ended(thread)
    assert state["status"] == "failed"
    assert state["error"] == {
        "code": "model_unavailable",
        "message": "the model did not answer: InternalServerError",
        "retryable": True,
    }
    assert [frame["event_type"] for frame in await engine.frames(thread)] == ["on_state_update", "error", "end"]
    model.fails = None
    assert await engine.invoke(thread) == "started"
    assert (await engine.ended(thread))["status"] == "completed"


async def test_a_model_that_refuses_us_fails_the_thread_for_good(
    engine: EngineAddress, model: StubModel, thread: str
) -> None:
    model.free = 0
    await engine.invoke(thread)
    await eventually(lambda: model.asked == 1, within=30)
    async with engine.stream(thread) as socket:
        await socket.recv()
        model.fails = 401
        model.gate.set()
        told = [json.loads(text)["event_type"] async for text in socket]
    assert told[-2:] == ["error", "end"], "who listens hears the end of a failure, too"
    error = (await engine.ended(thread))["error"]
    assert (error["code"], error["retryable"]) == ("model_refused", False)


async def test_cleanup_stops_a_thread_that_runs(engine: EngineAddress, model: StubModel, thread: str) -> None:
    model.free = 0
    await engine.invoke(thread)
    await eventually(lambda: model.asked == 1, within=30)
    async with engine.client() as client, engine.stream(thread) as socket:
        await socket.recv()
        assert (await client.delete(f"/cleanup/{thread}")).status_code == httpx.codes.NO_CONTENT
        await socket.wait_closed()
        assert (await client.get(f"/state/{thread}")).status_code == httpx.codes.NOT_FOUND


async def test_a_run_holds_up_neither_health_nor_other_threads(engine: EngineAddress, model: StubModel) -> None:
    """Fault of the origin: graphs ran in the event loop, and heartbeats, health and sockets stood still for the run."""
    model.free = 0
    draft: dict[str, JsonValue] = {f"/notes/{n}.md": "Word by word, line by line.\n" * 20_000 for n in range(3)}
    threads = [str(uuid.uuid4()) for _ in range(3)]
    async with engine.client() as client:
        for thread in threads:
            await engine.invoke(thread, "Search for news. " * 2_000, files=draft)
        worst, loop = 0.0, asyncio.get_running_loop()
        while model.asked < len(threads):
            began = loop.time()
            assert (await client.get("/health")).status_code == httpx.codes.OK
            worst = max(worst, loop.time() - began)
    assert worst < 1.0
