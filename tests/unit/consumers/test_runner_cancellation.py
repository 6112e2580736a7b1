"""A cancellation finds the agent from the very first moment of a run, also before `run.started` is on the bus."""

import asyncio
from types import SimpleNamespace
from uuid import UUID

from consumers.runner.agent import Answer, Work
from consumers.runner.runner import Runner
from events import Event, EventData, RunFinished, RunStarted, TaskAssigned, TaskCancelled, TaskSpec
from events.codec import encode, headers_for
from events.ids import new_id, run_id
from storage.lookup import TaskView


class Endless:
    id = "endless"

    async def run(self, _: Work) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError("never reached")


class OneTask:
    def __init__(self, task_id: UUID) -> None:
        self._view = TaskView(
            task_id, "acme", "ada", None, "assigned", 1, "endless", run_id(task_id, 1), None, TaskSpec(prompt="x"), {}
        )

    async def task(self, _: UUID) -> TaskView:
        return self._view


def _event(data: EventData, task_id: UUID) -> Event[EventData]:
    return Event.first(data, source="/keeper", tenant="acme", owner="ada", task_id=task_id)


async def test_a_cancellation_between_the_start_and_its_fact_stops_the_agent() -> None:
    task_id = new_id()
    runner = Runner([Endless()], OneTask(task_id))
    state = {"task_id": task_id, "kind": "goal", "version": 3, "attempt": 1}
    facts = runner.run(_event(TaskAssigned(**state, from_status="ready"), task_id))
    assert isinstance(await anext(facts), RunStarted)  # the runtime is about to publish it
    cancelled = _event(TaskCancelled(**state, from_status="assigned"), task_id)
    message = SimpleNamespace(data=encode(cancelled), headers=headers_for(cancelled))
    await runner._on_cancelled(message)  # type: ignore[arg-type]  # the two fields of a message that are read
    async with asyncio.timeout(1):
        ended = await anext(facts)
    assert isinstance(ended, RunFinished)
    assert ended.outcome == "cancelled"
