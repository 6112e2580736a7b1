"""Runs of refinements against a stub engine on a real socket: what ends them, and what does not."""

import asyncio
from collections.abc import AsyncGenerator
from typing import cast

import pytest

from consumers._engine.client import SpecEngineClient
from consumers.spec_engine.watch import Watch
from deploy.local.ports import free_port
from events.codec import encode
from events.run import RunDelayed, RunDelta, RunFiles, RunProgress, RunStarted
from events.task import TaskCancelled
from events.trace import trace_id
from tests.support.eventually import eventually
from tests.support.refinements import Driven, OneRefinement, about, engine_settings, ran
from tests.support.stub_engine import END, RECORDED, Frame, StubEngine, snapshot, state, stub_engine

A = {"/a.md": "one"}
B = {"/a.md": "two", "/b.md": ""}


@pytest.fixture
async def engine() -> AsyncGenerator[StubEngine]:
    async with stub_engine() as stub:
        yield stub


async def test_the_recorded_run_yields_its_ten_files(engine: StubEngine) -> None:
    """Requirements 001.2: nine frames, the last snapshot before the end wins; the state has none (a fault of 001.1)."""
    assert len(RECORDED) == 9
    engine.streams, engine.state = [[*RECORDED]], state("completed")
    driven = await ran(engine.url)
    assert driven.names() == ["started", "files", "finished"]
    assert driven.finished().outcome == "succeeded"
    files = driven.files()
    assert sorted(files) == [
        "THE_CAST/GreetingAgent.md",
        "THE_CAST/OrchestratorAgent.md",
        "THE_SPEC/constitution.md",
        "THE_SPEC/plan.md",
        "THE_SPEC/requirements.md",
        "definition.json",
        "guardrail_assessment.md",
        "impact_assessment.md",
        "orchestrator_plan.md",
        "user_request.md",
    ]
    assert files["user_request.md"] == "Create a simple hello world agent that greets users"
    said = "".join(cast("RunDelta", fact).text for fact in driven.of(RunDelta))
    assert said == 'It\'s the "first" part.\nAll files are written.'


async def test_the_engine_is_given_the_redacted_request_and_the_draft(engine: StubEngine) -> None:
    engine.streams, engine.state = [[snapshot(A), END]], state("completed", A)
    refinement = OneRefinement(
        "Call 555-1234.",
        draft={"THE_SPEC/plan.md": "old"},
        context=about("THE_SPEC/plan.md", "line"),
        acceptance_criteria=("it calls",),
    )
    refinement.view.redacted["goal"] = "Call [PHONE_1]."
    driven = await ran(engine.url, refinement)
    job = engine.jobs[0]
    assert job["job_id"] == str(refinement.task_id)
    assert [fact.engine_ref for fact in driven.of(RunStarted) if isinstance(fact, RunStarted)] == [job["job_id"]]
    assert job["trace_id"] == trace_id(driven.event.traceparent)
    assert job["input_payload"] == {
        "instructions": "Call [PHONE_1].",
        "messages": [{"role": "user", "content": "Call [PHONE_1]."}],
        "context": {"file_path": "THE_SPEC/plan.md", "selection": "line"},
        "acceptance_criteria": ["it calls"],
        "constraints": {},
        "files": {"/THE_SPEC/plan.md": "old"},
        "budget": {"max_tokens": 10_000},
    }
    assert "555-1234" not in str(job)


async def test_every_call_of_the_engine_belongs_to_the_requests_trace(engine: StubEngine) -> None:
    engine.streams, engine.state = [[snapshot(A), END]], state("completed", A)
    driven = await ran(engine.url, OneRefinement("Go."))
    assert len(engine.traces) >= 3, "invoke, stream, state"
    assert {trace_id(one) for one in engine.traces} == {trace_id(driven.event.traceparent)}
    assert len(set(engine.traces)) == len(engine.traces), "each call is a span of its own"


async def test_a_stream_that_breaks_is_taken_up_again(engine: StubEngine) -> None:
    engine.streams = [[snapshot(A), 1011], [1012], [], [snapshot(B), END]]
    engine.runs_until(lambda: engine.connections >= 4, B)
    driven = await ran(engine.url)
    assert engine.connections >= 4
    assert driven.files() == {"a.md": "two", "b.md": ""}


async def test_without_any_stream_the_state_alone_decides_when_it_says_so_twice(engine: StubEngine) -> None:
    engine.streams = [[]]
    engine.runs_until(lambda: engine.states > 3, B)
    driven = await ran(engine.url)
    assert driven.files() == {"a.md": "two", "b.md": ""}
    assert engine.states >= 5


async def test_completed_without_files_is_not_believed_while_the_stream_goes_on(engine: StubEngine) -> None:
    """Fault of the origin: "completed" with no files as soon as a checkpoint exists."""
    engine.state = state("completed")
    engine.streams = [[snapshot(A), None]]
    driven = Driven(engine_settings(engine.url, stall=60.0), OneRefinement())
    running = asyncio.create_task(driven.run())
    await eventually(lambda: engine.states >= 4, within=30)
    assert not running.done()
    engine.state, engine.streams = state("completed", B), [[snapshot(B), END]]
    engine.drop()
    await running
    assert driven.files() == {"a.md": "two", "b.md": ""}


async def test_an_end_of_the_stream_is_not_believed_while_the_state_says_running(engine: StubEngine) -> None:
    """Fault of the origin: its stream says error and end after 300 s, whatever the run does."""
    late: Frame = {"event_type": "error", "data": {"error": "Execution timeout", "context": "streaming_timeout"}}
    engine.streams = [[snapshot(A), late, END], [snapshot(B), None]]
    engine.runs_until(lambda: engine.states > 4, B)
    driven = await ran(engine.url, settle=10.0, stall=10.0)
    assert driven.files() == {"a.md": "two", "b.md": ""}


async def test_an_end_that_no_state_confirms_counts_when_it_stands(engine: StubEngine) -> None:
    """An engine whose state says running for ever."""
    engine.streams = [[snapshot(A), END]]
    driven = await ran(engine.url, stall=60.0)
    assert driven.files() == {"a.md": "one"}


async def test_words_that_change_with_the_clock_are_no_progress(engine: StubEngine) -> None:
    """Fault of the origin: its stream says "in progress (n s)" once a second, whatever happens."""
    idle: list[Frame | float | int | None] = []
    for n in range(40):
        said: Frame = {"messages": f"Execution in progress… ({n}s)", "status": "running"}
        idle += [{"event_type": "on_state_update", "data": said}, 0.05]
    engine.streams, engine.state = [[*idle, snapshot(A), END]], state("running")
    driven = await ran(engine.url, stall=0.5)
    error = driven.finished().error
    assert error is not None
    assert (error.code, error.retryable) == ("engine_stalled", True)
    assert engine.cleanups == [str(driven.refinement.task_id)]


async def test_a_failed_thread_fails_the_run_as_the_engine_says(engine: StubEngine) -> None:
    engine.streams = [[{"event_type": "error", "data": {"error": {"code": "model_refused"}}}, END]]
    engine.state = state(
        "failed", error={"code": "model_refused", "message": "Secret of the engine", "retryable": False}
    )
    driven = await ran(engine.url)
    error = driven.finished().error
    assert error is not None
    assert (driven.finished().outcome, error.code, error.retryable) == ("failed", "model_refused", False)
    assert "Secret" not in str(driven.facts)


async def test_a_strangers_error_with_a_stack_trace_leaves_none_of_it(engine: StubEngine) -> None:
    """Fault of the origin: stack traces travel in public events."""
    engine.streams = [[{"event_type": "error", "data": {"error": "Traceback (most recent call last)…"}}, END]]
    engine.state = state("failed", error="Traceback (most recent call last): /srv/secret.py")
    driven = await ran(engine.url)
    error = driven.finished().error
    assert error is not None
    assert (error.code, error.retryable) == ("engine_error", True)
    assert "Traceback" not in str(driven.facts)


async def test_a_thread_that_the_engine_lost_fails_the_attempt_retryably(engine: StubEngine) -> None:
    engine.streams, engine.state = [[]], lambda: (404, {})
    error = (await ran(engine.url)).finished().error
    assert error is not None
    assert (error.code, error.retryable) == ("unknown_thread", True)


@pytest.mark.parametrize("path", ["/../etc/passwd", "//etc/passwd", "/a\0.md", "/" + "a" * 4_096, "/A.MD", "/a.md/b"])
async def test_hostile_paths_end_the_run_for_good(engine: StubEngine, path: str) -> None:
    hostile = snapshot({**A, path: "x"})
    engine.streams, engine.state = [[hostile, END]], state("completed", {**A, path: "x"})
    driven = await ran(engine.url)
    finished = driven.finished()
    assert finished.error is not None
    assert (finished.error.code, finished.error.retryable) == ("hostile_files", False)
    assert not driven.of(RunFiles)
    assert engine.cleanups


async def test_hostile_paths_in_the_state_alone_end_it_too(engine: StubEngine) -> None:
    engine.streams, engine.state = [[]], state("completed", {"/../x": "x"})
    error = (await ran(engine.url)).finished().error
    assert error is not None
    assert error.code == "hostile_files"


async def test_files_above_a_quarter_mebibyte_travel_alone_and_once(engine: StubEngine) -> None:
    large = {"/large.md": "word\n" * 60_000, "/small.md": "x"}
    engine.streams = [[snapshot(large), None]]
    driven = Driven(engine_settings(engine.url, stall=60.0), OneRefinement())
    running = asyncio.create_task(driven.run())
    await eventually(lambda: len(driven.of(RunFiles)) == 2, within=30)
    second = large | {"/small.md": "y"}
    engine.streams, engine.state = [[snapshot(second), END]], state("completed", second)
    engine.drop()
    await running
    events = [cast("RunFiles", fact) for fact in driven.of(RunFiles)]
    assert [event.part for event in events] == [True, False, False]
    assert driven.files() == {"large.md": large["/large.md"], "small.md": "y"}
    assert events[1].files["large.md"].ref == events[0].event_id("/consumers/spec_engine")
    assert len({event.event_id("/consumers/spec_engine") for event in events}) == 3


async def test_what_an_engine_says_at_once_is_cut_to_what_an_event_may_hold(engine: StubEngine) -> None:
    words: Frame = {"event_type": "on_llm_stream", "data": {"text": "\x01" * 2_000_000}}
    engine.streams = [[words, snapshot(A), END]]
    engine.state = state("completed", A, result={"summary": "word " * 400_000})
    driven = await ran(engine.url)
    assert driven.finished().outcome == "succeeded"
    assert max(len(encode(driven.event.caused(fact, source="/x", index=0))) for fact in driven.facts) < 1_000_000
    assert "".join(cast("RunDelta", fact).text for fact in driven.of(RunDelta)).startswith("\x01\x01")
    assert str((driven.finished().output or {})["text"]).startswith("word word")


async def test_an_engine_that_is_away_keeps_the_task_waiting_with_that_reason(engine: StubEngine) -> None:
    engine.is_ready = False
    engine.streams, engine.state = [[snapshot(A), END]], state("completed", A)
    driven = Driven(engine_settings(engine.url), OneRefinement())
    running = asyncio.create_task(driven.run())
    await eventually(lambda: driven.names() == ["delayed"], within=30)
    delayed = driven.facts[0]
    assert isinstance(delayed, RunDelayed)
    assert delayed.reason == "engine_unavailable"
    assert not engine.jobs
    engine.is_ready = True
    await running
    assert driven.names() == ["delayed", "started", "files", "finished"]


async def test_an_engine_that_breaks_while_it_takes_the_job_is_waited_for_too(engine: StubEngine) -> None:
    """Five failures open the breaker; what waits goes on when it lets a probe through, and no attempt is used up."""
    engine.invoked = lambda: (500 if len(engine.jobs) < 6 else 200, {})
    engine.streams, engine.state = [[snapshot(A), END]], state("completed", A)
    driven = await ran(engine.url)
    assert driven.names() == ["delayed", "started", "files", "finished"]
    assert driven.finished().outcome == "succeeded"


async def test_a_job_that_the_engine_refuses_is_not_tried_again(engine: StubEngine) -> None:
    engine.invoked = lambda: (422, {"code": "invalid_job"})
    driven = await ran(engine.url)
    error = driven.finished().error
    assert error is not None
    assert (error.code, error.retryable) == ("engine_refused", False)
    assert len(engine.jobs) == 1


async def test_an_engine_that_goes_away_in_the_middle_is_said_and_waited_for(engine: StubEngine) -> None:
    engine.streams = [[snapshot(A), None]]
    driven = Driven(engine_settings(engine.url, stall=0.3), OneRefinement())
    running = asyncio.create_task(driven.run())
    await eventually(lambda: bool(driven.of(RunFiles)), within=30)
    engine.streams, engine.is_ready, engine.state = [[]], False, lambda: (503, {})
    engine.drop()
    await eventually(
        lambda: any(cast("RunProgress", fact).note == "engine_unavailable" for fact in driven.of(RunProgress))
    )
    asked = engine.asked_ready
    await eventually(lambda: engine.asked_ready >= asked + 5, within=30)  # longer than a stall would take
    assert not running.done()
    engine.streams, engine.is_ready, engine.state = [[snapshot(B), END]], True, state("completed", B)
    await running
    assert driven.files() == {"a.md": "two", "b.md": ""}


async def test_a_cancelled_run_ends_within_a_second(engine: StubEngine) -> None:
    engine.streams = [[snapshot(A), None]]
    driven = Driven(engine_settings(engine.url, stall=60.0), OneRefinement())
    running = asyncio.create_task(driven.run())
    await eventually(lambda: bool(driven.of(RunFiles)), within=30)
    driven.consumer.stops.heard(driven.refinement.entered(TaskCancelled))
    async with asyncio.timeout(1.0):
        await running
    assert driven.finished().outcome == "cancelled"


async def test_a_task_cancelled_while_the_engine_is_away_leaves_the_queue(engine: StubEngine) -> None:
    engine.is_ready = False
    driven = Driven(engine_settings(engine.url), OneRefinement())
    running = asyncio.create_task(driven.run())
    await eventually(lambda: driven.names() == ["delayed"], within=30)
    driven.consumer.stops.heard(driven.refinement.entered(TaskCancelled))
    async with asyncio.timeout(1.0):
        await running
    assert driven.names() == ["delayed"]


async def test_a_run_past_its_time_is_stopped(engine: StubEngine) -> None:
    engine.streams = [[snapshot(A), None]]
    refinement = OneRefinement(budget={"max_time_seconds": 1})
    driven = await ran(engine.url, refinement, stall=60.0)
    finished = driven.finished()
    assert finished.error is not None
    assert (finished.outcome, finished.error.code) == ("timed_out", "agent_timeout")
    assert engine.cleanups == [str(refinement.task_id)]


async def test_what_is_another_agents_is_left_alone(engine: StubEngine) -> None:
    driven = Driven(engine_settings(engine.url), OneRefinement())
    assert await driven.run(event=driven.refinement.assigned("extractive")) == []


async def test_a_redelivery_of_a_running_task_reports_the_run_lost(engine: StubEngine) -> None:
    refinement = OneRefinement()
    refinement.enter("running", execution_id=refinement.task_id)
    driven = await ran(engine.url, refinement)
    assert driven.finished().outcome == "lost"
    assert not engine.jobs


async def test_a_resend_while_the_task_waits_starts_nothing_twice(engine: StubEngine) -> None:
    engine.is_ready = False
    engine.streams, engine.state = [[snapshot(A), END]], state("completed", A)
    driven = Driven(engine_settings(engine.url), OneRefinement())
    running = asyncio.create_task(driven.run())
    await eventually(lambda: driven.names() == ["delayed"], within=30)
    assert [fact async for fact in driven.consumer.run(driven.refinement.assigned())] == []
    engine.is_ready = True
    await running
    assert len(engine.jobs) == 1


async def test_a_second_attempt_yields_only_its_own_snapshots(engine: StubEngine) -> None:
    """It begins at snapshot one with an execution of its own, whatever the first attempt left behind."""
    engine.streams, engine.state = [[snapshot(A), snapshot(B), END]], state("completed", B)
    refinement = OneRefinement()
    refinement.enter("assigned", attempt=2)
    driven = await ran(engine.url, refinement)
    first = driven.of(RunFiles)[0]
    assert isinstance(first, RunFiles)
    assert (first.snapshot_seq, first.attempt) == (1, 2)
    assert engine.jobs[0]["job_id"] == str(refinement.task_id)


async def test_an_engine_that_is_away_is_not_stalled() -> None:
    """The clock of progress stands while nobody could have told us of any."""
    settings = engine_settings(f"http://127.0.0.1:{free_port()}", stall=0.5)
    async with SpecEngineClient(settings) as client, Watch(client, "t", settings) as watch:
        assert (await watch.step(5.0)).away
        steps = [await watch.step(0.6) for _ in range(3)]
        assert [(step.away, step.verdict) for step in steps] == [(True, None)] * 3
