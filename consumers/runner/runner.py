"""Runs one assigned task: look before starting, say that it lives, end with exactly one outcome.

A redelivery means that whoever had the message before fell silent for longer than ack_wait: if the row says
`running`, that execution is reported lost and the keeper decides on another attempt; it is never run in parallel.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable

import structlog
from nats.aio.client import Client

from consumers._execution import Execution, assigned, lost_of, seconds_for
from consumers._presence import Offer, Presence
from consumers._runtime import Resources, Slots
from consumers._stops import Stop, Stops
from consumers.runner.agent import Agent, Answer
from consumers.runner.agents import built_in
from consumers.runner.encodable import encodable
from consumers.runner.report import Report
from consumers.runner.work import work_for
from events.base import Event, EventData, JsonObject
from events.errors import GanglionError
from events.ids import new_id
from events.run import Outcome, RunFinished, RunStarted, Usage
from events.streams import RUNNER
from events.task import TaskAssigned, TaskError
from storage.lookup import Lookup, TaskView

log = structlog.get_logger()

HEARTBEAT = 20.0
_LAST_WORDS = 1.0
"""Seconds that an agent has to end after it was told to stop."""


class Runner:
    """Runs the agents of this process."""

    def __init__(self, agents: Iterable[Agent], lookup: Lookup) -> None:
        self._agents = {agent.id: agent for agent in agents}
        self._lookup = lookup
        self.stops = Stops()

    async def listen(self, client: Client) -> None:
        """Stop a task's agent as soon as the keeper announces that the task goes on without it."""
        await self.stops.listen(client)

    async def run(self, event: Event[EventData]) -> AsyncIterator[EventData]:
        """The facts of one run, in order; nothing of a task that is another process's to run."""
        data = event.data
        if not isinstance(data, TaskAssigned) or (agent := self._agents.get(data.agent_id or "")) is None:
            return
        with self.stops.watching(data.task_id, data.attempt) as stop:
            task = await assigned(data, self._lookup)
            if task is None:
                return
            if task.status == "running":
                yield lost_of(task)
                return
            async for fact in self._execute(agent, task, stop):
                yield fact

    async def _execute(self, agent: Agent, task: TaskView, stop: Stop) -> AsyncIterator[EventData]:
        assert task.run_id is not None  # noqa: S101 - looked at by the caller
        execution = Execution(task.run_id, task.id, task.attempt, new_id(), agent.id)
        report = Report(execution, task.spec.budget)
        began = time.monotonic()
        work = asyncio.create_task(self._work(agent, task, report))
        work.add_done_callback(lambda _: report.wake())
        stop.follow(work)
        try:
            yield RunStarted(**execution.named())
            in_time = True
            async for fact in _while_it_works(work, report, began + seconds_for(task)):
                yield fact
            if not work.done():
                in_time = False
                work.cancel()
                await asyncio.wait({work}, timeout=_LAST_WORDS)
            for fact in report.take():
                yield fact
            ended: Outcome | None = "timed_out" if not in_time else "cancelled" if stop.wanted else None
            yield _finished(work, execution, report, (time.monotonic() - began) * 1000, ended)
        finally:
            work.cancel()

    async def _work(self, agent: Agent, task: TaskView, report: Report) -> Answer:
        answer = await agent.run(await work_for(agent, task, self._lookup), report)
        report.output = answer.output
        report.spent(max(0, answer.tokens - report.tokens), max(0.0, answer.cost_usd - report.cost_usd))
        return answer


async def _while_it_works(work: asyncio.Task[Answer], report: Report, until: float) -> AsyncIterator[EventData]:
    """What the agent says, and a sign of life whenever 20 s have passed; ends when it does, or at `until`."""
    await asyncio.sleep(0)  # an agent that answers at once needs no timer
    beaten = time.monotonic()
    while not work.done() and (now := time.monotonic()) < until:
        if now - beaten >= HEARTBEAT:
            beaten = now
            yield report.beat()
        if (pause := report.pause()) > 0:
            await asyncio.wait({work}, timeout=pause)
        for fact in report.take():
            yield fact
        if not work.done():
            await report.wait(min(until, beaten + HEARTBEAT) - time.monotonic())


def _finished(
    work: asyncio.Task[Answer], execution: Execution, report: Report, ms: float, ended: Outcome | None
) -> RunFinished:
    """The outcome of a run that is over, whatever it ended with; what was said until then is kept.

    `ended`: how we ended it, if we did.
    """
    usage = Usage(tokens=report.tokens, cost_usd=report.cost_usd, ms=ms)
    if work.done() and not work.cancelled() and work.exception() is None:
        answer = work.result()
        return RunFinished(
            **execution.named(),
            outcome="partial" if answer.partial else "succeeded",
            output=encodable(answer.output),
            usage=usage,
        )
    outcome, error = _judged(work, ended)
    return RunFinished(**execution.named(), outcome=outcome, output=_said(report), error=error, usage=usage)


def _judged(work: asyncio.Task[Answer], ended: Outcome | None) -> tuple[Outcome, TaskError]:
    if ended == "timed_out":
        return ended, TaskError(code="agent_timeout", message="The agent did not answer in time and was stopped.")
    failure = asyncio.CancelledError() if work.cancelled() else work.exception()
    if ended is not None and work.cancelled():
        return ended, TaskError(code="cancelled", message="The run was stopped.")
    if isinstance(failure, GanglionError):
        return "failed", TaskError(code=failure.code, message=failure.detail, retryable=failure.retryable)
    # An unforeseen exception's text may hold anything: nobody is told it, and the log has its class and place only.
    log.error("agent_failed", error=type(failure).__name__, exc_info=failure)
    return "failed", TaskError(code="agent_error", message="The agent failed unexpectedly.", retryable=True)


def _said(report: Report) -> JsonObject | None:
    """What there was when the run was ended."""
    said: JsonObject = {"text": report.text} if report.text else {}
    return {**encodable(report.output or said), "partial": True} if report.output or said else None


def build(resources: Resources) -> Slots:
    """The consumer with the agents of this process, which are registered while it runs."""
    offered, kept = built_in()
    runner = Runner((*offered, *kept), resources.lookup)
    offers = [Offer(agent.id, agent.capabilities) for agent in offered]
    presence = Presence(resources.publisher, RUNNER.name, offers, withdrawn=[agent.id for agent in kept])

    async def start() -> None:
        await runner.listen(resources.client)
        await presence.start()

    return Slots(RUNNER, runner.run, start=start)
