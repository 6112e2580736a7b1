"""An engine that is killed or told to stop, and one whose database goes away (requirements 001.5)."""

import asyncio
import json
import signal
import uuid

from structlog.testing import capture_logs

from deploy.local.servers import Servers
from engine.model import ModelAuthor, ModelSettings
from tests.support.eventually import eventually
from tests.support.running_engine import job, local_engine, running_engine, text_of
from tests.support.stub_model import stub_model


async def test_a_killed_or_stopped_engine_resumes_its_thread_with_nobody_connected_and_does_nothing_twice(
    database_url: str,
) -> None:
    thread = str(uuid.uuid4())
    async with stub_model() as model, running_engine(database_url, LLM_BASE_URL=model.url, LLM_MODEL="m") as engine:
        model.free = 2
        await engine.invoke(thread)
        await eventually(lambda: model.asked == 3, within=30)
        await engine.kill()
        await engine.start()
        await engine.ready()
        await eventually(lambda: model.asked == 4, within=20)  # the one that was under way, and no earlier one
        assert await engine.invoke(thread) == "processing"
        async with engine.stream(thread) as socket:
            assert json.loads(await socket.recv())["event_type"] == "on_state_update"
            stopping = asyncio.create_task(engine.kill(signal.SIGTERM))
            await asyncio.wait_for(socket.wait_closed(), 20)
            assert socket.close_code == 1012
            await stopping
        model.gate.set()
        await engine.start()
        state = await engine.ended(thread, within=40)
        assert state["status"] == "completed"
        assert len(state["generated_files"]) == 10
        assert text_of(state, "/THE_SPEC/requirements.md").startswith("A model said")
        assert model.asked == 4 + 3


async def test_the_engine_waits_through_an_outage_of_its_database(servers: Servers) -> None:
    """Health goes on answering, readiness tells the truth (requirements 001.5, 8), the thread goes on by itself."""
    thread = str(uuid.uuid4())
    async with stub_model() as model:
        author = ModelAuthor(ModelSettings(base_url=model.url))
        async with (
            local_engine(servers.database_url, author, store_timeout=0.3) as engine,
            engine.client() as client,
        ):
            model.free = 1
            await engine.invoke(thread)
            await eventually(lambda: model.asked == 2, within=30)
            await servers.postgres.stop()
            assert (await client.get("/health")).status_code == 200
            ready = await client.get("/ready")
            assert (ready.status_code, ready.json()["services"]["postgres"]) == (503, "unavailable")
            refused = await client.post("/invoke", json=job(str(uuid.uuid4())))
            assert (refused.status_code, refused.json()["retryable"]) == (503, True)
            with capture_logs() as logs:
                model.gate.set()
                await eventually(lambda: "store_away" in [entry["event"] for entry in logs], within=30)
            await servers.postgres.start()
            assert (await engine.ended(thread))["status"] == "completed"
