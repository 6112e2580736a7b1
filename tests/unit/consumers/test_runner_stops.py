"""Whatever ends a task from outside finds its run from the first moment, also before `run.started` is on the bus."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from uuid import UUID

import pytest

from consumers._stops import STOPPING
from consumers.runner.agent import Answer, Reporter, Work
from consumers.runner.runner import Runner
from events import Event, EventData, RunDelta, RunFinished, RunStarted, TaskAssigned, TaskEntered, TaskSpec
from events.codec import encode, headers_for
from events.ids import new_id, run_id
from storage.called import CalledAgent
from storage.contexts import SharedContext
from storage.lookup import Line, TaskView
from storage.steps import StepResult


class Endless:
    """Says a word, and then nothing more."""

    id = "endless"
    capabilities = frozenset({"answer"})
    history_tokens = 0

    def __init__(self) -> None:
        self.begun = 0

    async def run(self, _: Work, reporter: Reporter) -> Answer:
        self.begun += 1
        await reporter.say("Well, ")
        await asyncio.Event().wait()
        raise AssertionError("never reached")


class OneTask:
    """A lookup that knows one task, and lets a test do something while it is asked for it."""

    def __init__(self, spec: TaskSpec | None = None) -> None:
        self.id = new_id()
        self._spec = spec or TaskSpec(prompt="x")
        self.meanwhile: list[Event[EventData]] = []
        self.runner: Runner | None = None

    async def task(self, _: UUID) -> TaskView:
        if self.runner is not None:
            for event in self.meanwhile:
                await tell(self.runner, event)
        named = (self.id, "acme", "ada", None, "assigned", 1, "endless", run_id(self.id, 1), None)
        return TaskView(*named, self._spec, {})  # type: ignore[arg-type]  # the fields in their order

    async def said_before(self, *_: object) -> Sequence[Line]:
        return ()

    async def base_files(self, _: UUID) -> None:
        return None

    async def checkpoint(self, _: UUID) -> None:
        return None

    async def left_files(self, _: UUID) -> None:
        return None

    async def contexts(self, *_: object) -> dict[UUID, SharedContext]:
        return {}

    async def capabilities(self, _: str) -> frozenset[str]:
        return frozenset()

    async def results(self, _: Sequence[UUID]) -> Sequence[StepResult]:
        return ()

    async def has_agent(self, *_: str) -> bool:
        return False

    async def called(self, _: str, __: str) -> CalledAgent | None:
        return None


def state(kind: type[TaskEntered], task_id: UUID, attempt: int = 1) -> Event[EventData]:
    data = kind(task_id=task_id, kind="goal", from_status="ready", version=3, attempt=attempt, agent_id="endless")
    return Event.first(data, source="/keeper", tenant="acme", owner="ada", task_id=task_id)


async def tell(runner: Runner, event: Event[EventData]) -> None:
    message = SimpleNamespace(data=encode(event), headers=headers_for(event))
    await runner.stops._on_state(message)  # type: ignore[arg-type]  # the two fields of a message that are read


async def rest_of(facts: AsyncIterator[EventData]) -> list[EventData]:
    async with asyncio.timeout(3):
        return [fact async for fact in facts]


@pytest.mark.parametrize("kind", STOPPING)
async def test_a_state_that_ends_the_run_stops_the_agent_between_its_start_and_its_fact(
    kind: type[TaskEntered],
) -> None:
    found = OneTask()
    runner = Runner([Endless()], found)
    facts = runner.run(state(TaskAssigned, found.id))
    assert isinstance(await anext(facts), RunStarted)  # the runtime is about to publish it
    await tell(runner, state(kind, found.id))
    ended = (await rest_of(facts))[-1]
    assert isinstance(ended, RunFinished)
    assert ended.outcome == "cancelled"


async def test_what_ends_the_task_while_its_row_is_read_is_not_missed() -> None:
    found, agent = OneTask(), Endless()
    found.runner = runner = Runner([agent], found)
    found.meanwhile.append(state(STOPPING[1], found.id))
    ended = (await rest_of(runner.run(state(TaskAssigned, found.id))))[-1]
    assert isinstance(ended, RunFinished)
    assert ended.outcome == "cancelled"
    assert agent.begun == 0


async def test_the_end_of_an_earlier_attempt_stops_nothing() -> None:
    found = OneTask(TaskSpec.model_validate({"prompt": "x", "budget": {"max_time_seconds": 1}}))
    runner = Runner([Endless()], found)
    facts = runner.run(state(TaskAssigned, found.id))
    assert isinstance(await anext(facts), RunStarted)
    await tell(runner, state(STOPPING[2], found.id, attempt=0))
    ended = (await rest_of(facts))[-1]
    assert isinstance(ended, RunFinished)
    assert ended.outcome == "timed_out"


async def test_a_run_that_was_lost_while_its_process_slept_stops_when_the_next_attempt_comes_here() -> None:
    found = OneTask()
    runner = Runner([Endless()], found)
    facts = runner.run(state(TaskAssigned, found.id))
    assert isinstance(await anext(facts), RunStarted)
    with runner.stops.watching(found.id, 2):
        ended = (await rest_of(facts))[-1]
    assert isinstance(ended, RunFinished)
    assert ended.outcome == "cancelled"


async def test_a_run_whose_message_was_delivered_here_again_is_still_found() -> None:
    for attempt in (1, 2):  # the task ends, or the next attempt comes here
        found = OneTask()
        runner = Runner([Endless()], found)
        facts = runner.run(state(TaskAssigned, found.id))
        assert isinstance(await anext(facts), RunStarted)
        with runner.stops.watching(found.id, 1):
            pass  # it reports the run lost
        with runner.stops.watching(found.id, attempt):
            await tell(runner, state(STOPPING[1], found.id, attempt))
            ended = (await rest_of(facts))[-1]
        assert isinstance(ended, RunFinished)
        assert ended.outcome == "cancelled"
        assert not runner.stops._stops
        assert not runner.stops._texts


async def test_a_run_past_its_time_is_stopped_and_what_was_said_is_kept() -> None:
    found = OneTask(TaskSpec.model_validate({"prompt": "x", "budget": {"max_time_seconds": 1}}))
    facts = await rest_of(Runner([Endless()], found).run(state(TaskAssigned, found.id)))
    assert [type(fact) for fact in facts] == [RunStarted, RunDelta, RunFinished]
    ended = facts[-1]
    assert isinstance(ended, RunFinished)
    assert (ended.outcome, ended.error and ended.error.code) == ("timed_out", "agent_timeout")
    assert ended.error is not None
    assert not ended.error.retryable
    assert ended.output == {"text": "Well, ", "partial": True}


async def test_an_agent_that_cancels_itself_has_failed() -> None:
    class Tripping(Endless):
        async def run(self, _: Work, __: Reporter) -> Answer:
            helper = asyncio.create_task(asyncio.sleep(60))
            helper.cancel()
            await helper
            raise AssertionError("never reached")

    found = OneTask()
    ended = (await rest_of(Runner([Tripping()], found).run(state(TaskAssigned, found.id))))[-1]
    assert isinstance(ended, RunFinished)
    assert ended.error is not None
    assert (ended.outcome, ended.error.code, ended.error.retryable) == ("failed", "agent_error", True)


async def test_what_is_assigned_to_an_agent_of_another_process_is_left_alone() -> None:
    found = OneTask()
    assert await rest_of(Runner([], found).run(state(TaskAssigned, found.id))) == []
