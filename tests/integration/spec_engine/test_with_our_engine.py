"""The consumer with the real engine in its own process, which is killed under it."""

import asyncio

from events.run import RunFiles
from tests.support.eventually import eventually
from tests.support.refinements import Driven, OneRefinement, engine_settings, ran
from tests.support.running_engine import running_engine
from tests.support.stub_model import stub_model


async def test_a_run_survives_the_kill_of_the_engine_and_keeps_what_was_written(database_url: str) -> None:
    async with stub_model() as model, running_engine(database_url, LLM_BASE_URL=model.url, LLM_MODEL="m") as engine:
        model.free = 2
        driven = Driven(engine_settings(engine.url, stall=60.0), OneRefinement("Greet users by name."))
        running = asyncio.create_task(driven.run(within=60))
        await eventually(lambda: model.asked == 3 and bool(driven.of(RunFiles)), within=40)
        await engine.kill()
        model.free = 1_000
        await engine.start()
        await running
        assert driven.finished().outcome == "succeeded"
        files = driven.files()
        assert len(files) == 10
        assert files["THE_SPEC/requirements.md"].startswith("A model said")
        assert driven.finished().usage.tokens == 12 * 5  # nothing that was written was asked for again
        again = await ran(engine.url, driven.refinement)  # the attempt after a consumer that died
        assert again.files() == files
        assert model.asked == 6
