"""The client: retries, timeouts and breaker of requirements 001.3 and O.2, on real sockets."""

import asyncio
import time
from collections.abc import AsyncGenerator

import pytest
from pydantic import JsonValue

from consumers._breaker import BreakerOpenError
from consumers._engine.client import SpecEngineClient
from consumers._engine.errors import EngineAwayError, EngineRefusedError, UnknownThreadError
from deploy.local.ports import free_port
from engine.author import RuleAuthor
from tests.support.pauses import assert_full_jitter, pauses_skipped
from tests.support.refinements import engine_settings
from tests.support.running_engine import job, local_engine
from tests.support.stub_engine import StubEngine, state, stub_engine


@pytest.fixture
async def engine() -> AsyncGenerator[StubEngine]:
    async with stub_engine() as stub:
        yield stub


async def test_a_failing_engine_is_tried_three_times(engine: StubEngine) -> None:
    engine.invoked = lambda: (503 if len(engine.jobs) < 3 else 200, {})
    async with SpecEngineClient(engine_settings(engine.url)) as client:
        await client.invoke({})
        assert len(engine.jobs) == 3
        engine.invoked = lambda: (500, {})
        with pytest.raises(EngineAwayError):
            await client.invoke({})
        assert len(engine.jobs) == 6


async def test_between_its_tries_it_pauses_for_1_to_5_seconds(engine: StubEngine) -> None:
    engine.invoked = lambda: (500, {})
    with pauses_skipped() as slept:
        for _ in range(20):
            async with SpecEngineClient(engine_settings(engine.url, longest_pause=5.0)) as client:
                with pytest.raises(EngineAwayError):
                    await client.invoke({})
    assert_full_jitter(slept, calls=20)


async def test_an_engine_that_asks_for_patience_gets_it_within_reason(engine: StubEngine) -> None:
    engine.retry_after = "3600"
    engine.invoked = lambda: (429 if len(engine.jobs) < 2 else 200, {})
    async with SpecEngineClient(engine_settings(engine.url, longest_pause=0.2)) as client:
        began = time.monotonic()
        await client.invoke({})
        assert 0.2 <= time.monotonic() - began < 5.0


@pytest.mark.parametrize("asked", ["\u00b2", "soon", "-1", ""])
async def test_an_engine_that_asks_for_no_number_of_seconds_is_asked_again_all_the_same(
    engine: StubEngine, asked: str
) -> None:
    engine.retry_after = asked
    engine.invoked = lambda: (429 if len(engine.jobs) < 2 else 200, {})
    async with SpecEngineClient(engine_settings(engine.url)) as client:
        await client.invoke({})
    assert len(engine.jobs) == 2


async def test_five_failures_open_the_breaker_and_one_probe_at_a_time_closes_it(engine: StubEngine) -> None:
    """Fault of the origin: a breaker around `async def` never counted a failure."""
    engine.state = lambda: (500, {})
    async with SpecEngineClient(engine_settings(engine.url, breaker_pause=0.2)) as client:
        for _ in range(5):
            with pytest.raises(EngineAwayError):
                await client.state("t", tries=1)
        assert (client.breaker.state, engine.states) == ("open", 5)
        with pytest.raises(BreakerOpenError):
            await client.state("t")
        assert engine.states == 5
        await asyncio.sleep(0.2)  # the pause itself is what is tested
        engine.state = state("running")
        answers = await asyncio.gather(*(client.state("t") for _ in range(4)), return_exceptions=True)
        assert sorted(type(answer).__name__ for answer in answers) == [*["BreakerOpenError"] * 3, "ThreadState"]
        assert engine.states == 6
        for _ in range(2):
            await client.state("t")
        assert client.breaker.state == "closed"


async def test_what_the_engine_refuses_is_not_tried_again_and_never_opens_the_breaker(engine: StubEngine) -> None:
    engine.invoked, engine.state = lambda: (422, {"code": "invalid_job"}), lambda: (404, {})
    async with SpecEngineClient(engine_settings(engine.url)) as client:
        for _ in range(6):
            with pytest.raises(EngineRefusedError, match="422 invalid_job"):
                await client.invoke({})
            with pytest.raises(UnknownThreadError):
                await client.state("t")
        assert (client.breaker.state, len(engine.jobs), engine.states) == ("closed", 6, 6)


@pytest.mark.parametrize("code", ["it said: hello", "a\nb", "x" * 65, 7, None])
async def test_the_code_of_a_refusal_is_passed_on_if_it_is_a_short_word(engine: StubEngine, code: JsonValue) -> None:
    engine.invoked = lambda: (422, {"code": code})
    async with SpecEngineClient(engine_settings(engine.url)) as client:
        with pytest.raises(EngineRefusedError) as refused:
            await client.invoke({})
    assert refused.value.detail == "the engine answers 422"


async def test_an_engine_that_hangs_is_given_up_in_time(engine: StubEngine) -> None:
    engine.answering.clear()
    async with SpecEngineClient(engine_settings(engine.url, state_timeout=0.1, tries=2)) as client:
        async with asyncio.timeout(4):
            with pytest.raises(EngineAwayError, match="ReadTimeout"):
                await client.state("t")
        engine.answering.set()


async def test_an_engine_that_is_not_there_is_away_and_not_ready() -> None:
    async with SpecEngineClient(engine_settings(f"http://127.0.0.1:{free_port()}", tries=1)) as client:
        assert not await client.ready()
        with pytest.raises(EngineAwayError, match="ConnectError"):
            await client.invoke({})
        with pytest.raises(EngineAwayError):
            async with client.stream("t"):
                pass


async def test_cleaning_up_what_is_gone_is_fine(engine: StubEngine) -> None:
    engine.cleaned = lambda: (404, {})
    async with SpecEngineClient(engine_settings(engine.url)) as client:
        await client.cleanup("t")
    assert engine.cleanups == ["t"]


async def test_what_is_no_state_is_the_engines_fault(engine: StubEngine) -> None:
    engine.state = lambda: (200, {"hello": "world"})
    async with SpecEngineClient(engine_settings(engine.url, tries=1)) as client:
        with pytest.raises(EngineAwayError):
            await client.state("t")


async def test_another_prefix_lets_another_runtime_stand_in() -> None:
    async with stub_engine("/deepagents-runtime") as other:
        async with SpecEngineClient(engine_settings(other.url, prefix="deepagents-runtime/")) as client:
            await client.invoke({"job_id": "t"})
        assert other.jobs == [{"job_id": "t"}]


async def test_the_client_and_our_engine_agree(database_url: str) -> None:
    """The client against the real engine: the drift of 000.1 was seen by no test, since all were mocks."""
    async with (
        local_engine(database_url, RuleAuthor(), prefix="/elsewhere") as engine,
        SpecEngineClient(engine_settings(engine.url, prefix="/elsewhere")) as client,
    ):
        assert await client.ready()
        await client.invoke(job("t-1"))
        async with client.stream("t-1") as frames:
            kinds = [type(frame).__name__ async for frame in frames]
        assert kinds[-1] == "End"
        assert "Update" in kinds
        found = await client.state("t-1")
        assert (found.status, len(found.files)) == ("completed", 10)
        assert found.summary is not None
        await client.cleanup("t-1")
        await client.cleanup("t-1")
        with pytest.raises(UnknownThreadError):
            await client.state("t-1")
    async with local_engine(database_url, RuleAuthor()) as engine:
        stranger = SpecEngineClient(engine_settings(engine.url, token="not-the-token-of-it"))
        with pytest.raises(EngineRefusedError, match="401 unauthorized"):
            await stranger.invoke(job("t-2"))
        with pytest.raises(EngineAwayError, match="403"):
            async with stranger.stream("t-2"):
                pass
        await stranger.close()
