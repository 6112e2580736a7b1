"""The contract of requirements 001.2, on the real engine in its own process."""

import uuid
from collections.abc import AsyncGenerator

import httpx
import orjson
import pytest
import pytest_asyncio
from pydantic import JsonValue
from websockets.exceptions import InvalidStatus

from engine.author import RuleAuthor, Written
from tests.support.databases import fresh_database
from tests.support.eventually import eventually
from tests.support.infrastructure import SharedServers
from tests.support.running_engine import EngineAddress, job, local_engine, text_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(shared: SharedServers, template: str) -> AsyncGenerator[EngineAddress]:
    async with (
        fresh_database(shared.database_url, template=template) as url,
        local_engine(url, RuleAuthor()) as running,
    ):
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def client(engine: EngineAddress) -> AsyncGenerator[httpx.AsyncClient]:
    async with engine.client() as client:
        yield client


def new_id() -> str:
    return str(uuid.uuid4())


async def test_a_job_as_json_ends_in_ten_files_that_say_no_model_wrote_them(
    engine: EngineAddress, client: httpx.AsyncClient
) -> None:
    thread = new_id()
    answer = await client.post("/invoke", json=job(thread))
    assert (answer.status_code, answer.json()) == (200, {"thread_id": thread, "status": "started"})
    state = await engine.ended(thread)
    assert state["status"] == "completed"
    assert sorted(state["generated_files"]) == [
        "/THE_CAST/CommunicationAgent.md",
        "/THE_CAST/OrchestratorAgent.md",
        "/THE_SPEC/constitution.md",
        "/THE_SPEC/plan.md",
        "/THE_SPEC/requirements.md",
        "/definition.json",
        "/guardrail_assessment.md",
        "/impact_assessment.md",
        "/orchestrator_plan.md",
        "/user_request.md",
    ]
    assert "- **R-001** Greet users by name." in text_of(state, "/THE_SPEC/requirements.md")
    assert all("no model wrote it" in text_of(state, path) for path in state["generated_files"] if path.endswith(".md"))
    assert orjson.loads(text_of(state, "/definition.json"))["nodes"][0]["type"] == "orchestrator"


@pytest.mark.parametrize("mode", ["structured", "binary"])
async def test_a_job_comes_as_a_cloudevent_too(engine: EngineAddress, client: httpx.AsyncClient, mode: str) -> None:
    thread = new_id()
    attributes = {
        "specversion": "1.0",
        "id": new_id(),
        "source": "/test",
        "type": "dev.my-platform.agent.execute",
        "subject": thread,
    }
    if mode == "structured":
        headers = {"content-type": "application/cloudevents+json"}
        body = orjson.dumps(attributes | {"data": job(thread)})
    else:
        headers = {f"ce-{name}": value for name, value in attributes.items()} | {"content-type": "application/json"}
        body = orjson.dumps(job(thread))
    answer = await client.post("/invoke", content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    assert (await engine.ended(thread))["status"] == "completed"


async def test_a_cloudevent_of_another_type_is_refused(engine: EngineAddress, client: httpx.AsyncClient) -> None:
    event = {"specversion": "1.0", "id": "1", "source": "/test", "type": "dev.else", "data": job(new_id())}
    headers = {"content-type": "application/cloudevents+json"}
    answer = await client.post("/invoke", content=orjson.dumps(event), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_job")


@pytest.mark.parametrize(
    "change",
    [
        {"job_id": ""},
        {"job_id": "../etc"},
        {"trace_id": ""},
        {"agent_definition": {}},
        {"input_payload": {}},
        {"input_payload": {"instructions": ""}},
        {"input_payload": {"instructions": "x", "files": {"../up.md": "x"}}},
        {"input_payload": {"instructions": "x", "files": {"/A.md": "x", "/a.md": "y"}}},
    ],
)
async def test_a_malformed_job_is_422_and_starts_nothing(
    client: httpx.AsyncClient, change: dict[str, JsonValue]
) -> None:
    thread = new_id()
    answer = await client.post("/invoke", json=job(thread) | change)
    assert (answer.status_code, answer.json()["code"], answer.json()["retryable"]) == (422, "invalid_job", False)
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await client.get(f"/state/{thread}")).status_code == 404


async def test_invoke_is_idempotent_on_the_job_id(engine: EngineAddress, client: httpx.AsyncClient) -> None:
    thread = new_id()
    first = await client.post("/invoke", json=job(thread, "Collect news."))
    again = await client.post("/invoke", json=job(thread, "Collect news."))
    assert [answer.json()["status"] for answer in (first, again)] in (
        ["started", "processing"],
        ["started", "completed"],
    )
    before = await engine.ended(thread)

    async def told_so() -> bool:  # the words of the end come a moment before the job is over
        other = await client.post("/invoke", json=job(thread, "Something else."))
        assert other.json()["status"] == "completed"
        return True

    await eventually(told_so)
    assert (await engine.ended(thread)) == before


async def test_the_stream_tells_growing_snapshots_and_an_end_and_no_words_of_a_model_that_was_not_asked(
    engine: EngineAddress, client: httpx.AsyncClient
) -> None:
    thread = new_id()
    await client.post("/invoke", json=job(thread))
    frames = await engine.frames(thread)
    assert frames[-1] == {"event_type": "end", "data": {}}
    snapshots = [frame["data"]["files"] for frame in frames if "files" in frame["data"]]
    assert len(snapshots[-1]) == 10
    assert [len(files) for files in snapshots] == sorted(len(files) for files in snapshots)
    assert {frame["event_type"] for frame in frames} == {"on_state_update", "end"}
    assert (await engine.ended(thread))["generated_files"] == snapshots[-1]


async def test_who_comes_after_the_end_is_told_everything_and_the_end(
    engine: EngineAddress, client: httpx.AsyncClient
) -> None:
    thread = new_id()
    await client.post("/invoke", json=job(thread))
    state = await engine.ended(thread)
    frames = await engine.frames(thread)
    assert [frame["event_type"] for frame in frames] == ["on_state_update", "end"]
    assert frames[0]["data"]["files"] == state["generated_files"]


async def test_the_state_is_never_completed_before_the_last_file_is_there(
    engine: EngineAddress, client: httpx.AsyncClient
) -> None:
    """Fault of the origin: "completed" with no files as soon as any checkpoint existed."""
    thread = new_id()
    await client.post("/invoke", json=job(thread, "\n".join(f"- Search for topic {n}." for n in range(50))))
    seen = []

    async def completed() -> bool:
        state = (await client.get(f"/state/{thread}")).json()
        seen.append((state["status"], "/impact_assessment.md" in state["generated_files"]))
        return bool(state["status"] == "completed")

    await eventually(completed, within=20, every=0.0)
    assert ("completed", False) not in seen
    assert seen[0][0] == "running"


async def test_cleanup_deletes_and_a_second_one_is_404(engine: EngineAddress, client: httpx.AsyncClient) -> None:
    thread = new_id()
    await client.post("/invoke", json=job(thread))
    await engine.ended(thread)
    assert (await client.delete(f"/cleanup/{thread}")).status_code == 204
    assert (await client.delete(f"/cleanup/{thread}")).status_code == 404
    assert (await client.get(f"/state/{thread}")).status_code == 404


async def test_a_draft_is_refined_not_replaced(engine: EngineAddress, client: httpx.AsyncClient) -> None:
    first, second = new_id(), new_id()
    await client.post("/invoke", json=job(first, "Greet users by name. Send a daily report."))
    files = (await engine.ended(first))["generated_files"]
    draft: dict[str, JsonValue] = {path: "\n".join(file["content"]) for path, file in files.items()}
    draft["/notes/mine.md"] = "kept\n"
    await client.post("/invoke", json=job(second, "Remove R-002. Translate greetings into German.", files=draft))
    state = await engine.ended(second)
    requirements = text_of(state, "/THE_SPEC/requirements.md")
    assert "- **R-001** Greet users by name." in requirements
    assert "- **R-002**" not in requirements
    assert "- **R-003** Translate greetings into German." in requirements
    assert text_of(state, "/notes/mine.md") == "kept\n"


@pytest.mark.parametrize("token", ["", "another-service-token"])
async def test_without_the_service_token_nothing_answers_but_health(engine: EngineAddress, token: str) -> None:
    thread = new_id()
    async with engine.client(token) as stranger:
        answers = [
            await stranger.post("/invoke", json=job(thread)),
            await stranger.get(f"/state/{thread}"),
            await stranger.delete(f"/cleanup/{thread}"),
        ]
        assert [answer.status_code for answer in answers] == [401, 401, 401]
        assert (await stranger.get("/health")).json()["status"] == "healthy"
        assert (await stranger.get("/ready")).json()["services"] == {"postgres": "ready", "threads": "ready"}
    with pytest.raises(InvalidStatus):
        async with engine.stream(thread, token):
            pass


async def test_a_stream_of_an_unknown_thread_says_so_and_closes(engine: EngineAddress) -> None:
    async with engine.stream(new_id()) as socket:
        assert orjson.loads(await socket.recv())["data"]["error"]["code"] == "unknown_thread"
        await socket.wait_closed()
        assert socket.close_code == 4404


async def test_text_that_postgres_cannot_hold_as_json_passes_through(
    engine: EngineAddress, client: httpx.AsyncClient
) -> None:
    thread = new_id()
    answer = await client.post("/invoke", json=job(thread, "Say\0 hello.", context={"text": "a\0b"}))
    assert answer.status_code == 200, answer.text
    assert (await engine.ended(thread))["status"] == "completed"


async def test_a_job_larger_than_the_engine_reads_is_413(client: httpx.AsyncClient) -> None:
    answer = await client.post("/invoke", content=b" " * (16 * 1024 * 1024 + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


async def test_counters_of_open_streams_and_running_threads_go_back_to_zero(
    engine: EngineAddress, client: httpx.AsyncClient
) -> None:
    """Fault of the origin: its count of sockets raised an AttributeError when one closed."""
    thread = new_id()
    await client.post("/invoke", json=job(thread))
    await engine.frames(thread)
    await engine.ended(thread)

    async def are_zero() -> bool:
        async with httpx.AsyncClient(base_url=engine.url, trust_env=False) as plain:
            shown = (await plain.get("/metrics")).text
        return "ganglion_engine_streams_open 0.0" in shown and "ganglion_engine_threads_running 0.0" in shown

    await eventually(are_zero, within=30)


class Breaking(RuleAuthor):
    """Raises what no author should."""

    async def write(self, *_: object) -> Written:
        raise RuntimeError("a secret of the engine's inside")


async def test_a_node_that_breaks_fails_its_thread_and_shows_nothing_of_its_inside(database_url: str) -> None:
    thread = new_id()
    async with local_engine(database_url, Breaking()) as engine:
        await engine.invoke(thread)
        state = await engine.ended(thread)
        assert state["error"] == {
            "code": "engine_error",
            "message": "The engine failed unexpectedly.",
            "retryable": True,
        }
        assert "secret" not in str(await engine.frames(thread))
