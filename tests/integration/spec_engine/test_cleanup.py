"""Cleaning up behind refinements: once, for what is over, tried until it is done."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from consumers._engine.client import SpecEngineClient
from consumers.engine_cleanup import EngineCleanup
from events.base import Event, EventData
from events.ids import derived_id, new_id
from events.proposal import PROPOSAL_EVENTS, ProposalEntered
from events.streams import ENGINE_CLEANUP
from events.task import TaskCancelled, TaskEntered, TaskFailed, TaskTimedOut
from tests.support.eventually import eventually
from tests.support.refinements import OneRefinement, engine_settings
from tests.support.stub_engine import StubEngine, stub_engine

REFINEMENT = OneRefinement()
TASK = REFINEMENT.task_id


@pytest.fixture
async def engine() -> AsyncGenerator[StubEngine]:
    async with stub_engine() as stub:
        yield stub


def event(data: EventData) -> Event[EventData]:
    return Event.first(data, source="/keeper", tenant="t", owner="o", task_id=TASK)


def task_event(kind: type[TaskEntered], of: str = "refinement") -> Event[EventData]:
    return event(
        kind.model_validate({"task_id": TASK, "kind": of, "from_status": "running", "version": 5, "attempt": 1})
    )


def proposal_event(kind: type[ProposalEntered]) -> Event[EventData]:
    said = {"proposal_id": derived_id(TASK, "proposal"), "task_id": TASK, "workflow_id": new_id(), "version": 3}
    return event(kind.model_validate({**said, "digest": "0" * 64, "base_version": 1}))


async def clean(engine: StubEngine, *events: Event[EventData]) -> None:
    async with SpecEngineClient(engine_settings(engine.url)) as client:
        cleanup = EngineCleanup(client, REFINEMENT, pauses=(0.02, 0.05))
        for each in events:
            assert [output async for output in cleanup.clean(each)] == []


async def test_each_end_of_a_refinement_deletes_its_thread(engine: StubEngine) -> None:
    ends = [PROPOSAL_EVENTS[status] for status in ("approved", "rejected", "superseded", "expired")]
    await clean(engine, *map(proposal_event, ends), *map(task_event, (TaskCancelled, TaskFailed, TaskTimedOut)))
    assert engine.cleanups == [str(TASK)] * 7
    assert {*ends, TaskCancelled, TaskFailed, TaskTimedOut} == set(ENGINE_CLEANUP.inputs)


async def test_other_kinds_of_task_are_none_of_its_business(engine: StubEngine) -> None:
    await clean(engine, task_event(TaskCancelled, "goal"), task_event(TaskFailed, "turn"))
    assert engine.cleanups == []


async def test_it_tries_until_the_engine_has_done_it(engine: StubEngine) -> None:
    """Failures, an open breaker and a token that is wrong for a while: the message is held, not given up."""
    answers = iter([500, 503, 500, 500, 500, 401, 500])
    engine.cleaned = lambda: (next(answers, 204), {})
    cleaning = asyncio.create_task(clean(engine, proposal_event(PROPOSAL_EVENTS["rejected"])))
    await eventually(lambda: len(engine.cleanups) >= 5, within=30)
    assert not cleaning.done()
    await asyncio.wait_for(cleaning, 10)
    assert len(engine.cleanups) == 8


async def test_a_thread_that_a_later_attempt_works_on_is_not_deleted(engine: StubEngine) -> None:
    """Who retried a failed task while the engine was away finds the thread in work."""
    engine.cleaned = lambda: (503, {})
    cleaning = asyncio.create_task(clean(engine, task_event(TaskFailed)))
    await eventually(lambda: bool(engine.cleanups), within=30)
    engine.cleaned = lambda: (204, {}) if REFINEMENT.view.attempt == 1 else (500, {})
    REFINEMENT.enter("ready", attempt=2)
    await asyncio.wait_for(cleaning, 10)
    REFINEMENT.enter("assigned", attempt=1)
