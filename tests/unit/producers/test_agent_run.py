"""One run of an outside agent: whatever ends it ends the function too, and says what became of it as it was."""

import asyncio
from uuid import uuid4

import pytest

from events.base import JsonObject
from events.task import Budget, TaskContext
from producers.agents.context import Context
from producers.agents.run import Handler, Run
from producers.agents.work import Task

TASK = Task(
    id=uuid4(),
    run_id=uuid4(),
    attempt=1,
    kind="goal",
    prompt="Do it.",
    context=TaskContext(),
    constraints={},
    acceptance_criteria=(),
    metadata={},
    required_capabilities=(),
    budget=Budget(),
    priority="normal",
    deadline_at=None,
)


class Door:
    """Takes every fact and remembers it."""

    def __init__(self) -> None:
        self.said: list[tuple[str, JsonObject]] = []

    async def state(self, name: str, _: str, data: JsonObject, *, within: float) -> JsonObject:  # noqa: ARG002 - as it is
        self.said.append((name, data))
        return {"event_id": str(len(self.said))}

    def end(self) -> tuple[object, object]:
        """How the run ended, as the last fact says it: outcome and error."""
        name, data = self.said[-1]
        assert name == "run.finished"
        return data["outcome"], data.get("error")


async def done(handler: Handler) -> Door:
    door = Door()
    await Run(door, TASK).do(handler)  # type: ignore[arg-type]  # the one method of lines that a run needs
    return door


async def test_whoever_cancels_the_run_has_cancelled_the_function() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def wait(_: Task, __: Context) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    running = asyncio.create_task(done(wait))
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    async with asyncio.timeout(1):
        await ended.wait()


async def test_a_function_that_cancels_itself_has_failed() -> None:
    async def trip(_: Task, __: Context) -> None:
        helper = asyncio.create_task(asyncio.sleep(60))
        helper.cancel()
        await helper

    outcome, error = (await done(trip)).end()
    assert (outcome, isinstance(error, dict) and (error["code"], error["retryable"])) == (
        "failed",
        ("agent_error", True),
    )


async def test_a_function_that_is_told_to_stop_was_cancelled() -> None:
    async def stop_and_wait(_: Task, __: Context) -> None:
        run.stop("cancelled")
        await asyncio.Event().wait()

    door = Door()
    run = Run(door, TASK)  # type: ignore[arg-type]  # as above
    await run.do(stop_and_wait)
    assert door.end()[0] == "cancelled"
