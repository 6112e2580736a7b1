"""Runs one assigned task: look before starting, say that it lives, end with exactly one outcome.

A redelivery means that whoever had the message before fell silent for longer than ack_wait: if the row says
`running`, that execution is reported lost and the keeper decides on another attempt; it is never run in parallel.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from functools import partial
from uuid import UUID

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from consumers._runtime import Resources, Slots
from consumers.runner.agent import Agent, Answer, Work
from consumers.runner.extractive import ExtractiveAgent
from events.base import Event, EventData, JsonObject
from events.codec import decode
from events.errors import GanglionError, InvalidEventError, PermanentError, TransientError
from events.ids import new_id
from events.run import RunFinished, RunProgress, RunStarted, Usage
from events.streams import RUNNER
from events.subjects import filter_for
from events.task import TaskAssigned, TaskCancelled, TaskError
from storage.lookup import Lookup, TaskView

log = structlog.get_logger()

HEARTBEAT = 20.0


class NotCommittedYetError(TransientError):
    """The task's row is not where its event says it is; the event is committed first, so this passes."""

    code = "not_committed_yet"


class UnknownAgentError(PermanentError):
    """The task was assigned to an agent that this process does not have."""

    code = "unknown_agent"


@dataclass(frozen=True, slots=True)
class _Execution:
    run_id: UUID
    task_id: UUID
    attempt: int
    execution_id: UUID
    agent_id: str


class Runner:
    """Runs the agents of this process."""

    def __init__(self, agents: Iterable[Agent], lookup: Lookup) -> None:
        self._agents = {agent.id: agent for agent in agents}
        self._lookup = lookup
        self._working: dict[UUID, asyncio.Task[Answer]] = {}

    async def watch_cancellations(self, client: Client) -> None:
        """Stop a task's agent as soon as the keeper announces its cancellation."""
        await client.subscribe(filter_for(TaskCancelled), cb=self._on_cancelled)

    async def run(self, event: Event[EventData]) -> AsyncIterator[EventData]:
        """The facts of one run, in order."""
        data = event.data
        if not isinstance(data, TaskAssigned):
            return
        task = await self._lookup.task(data.task_id)
        if task is None:
            raise NotCommittedYetError
        if task.attempt != data.attempt or task.status not in ("assigned", "running"):
            return
        if task.status == "running":
            yield _lost(task)
            return
        agent = self._agents.get(task.agent_id or "")
        if agent is None or task.run_id is None:
            raise UnknownAgentError
        execution = _Execution(task.run_id, task.id, task.attempt, new_id(), agent.id)
        async for fact in self._execute(agent, task, execution):
            yield fact

    async def _execute(self, agent: Agent, task: TaskView, execution: _Execution) -> AsyncIterator[EventData]:
        began = time.monotonic()
        work = asyncio.create_task(agent.run(work_of(task)))
        self._working[task.id] = work  # before anything is awaited: a cancellation must find it
        try:
            yield RunStarted(**_names(execution))
            seq = 0
            await asyncio.sleep(0)  # an agent that answers at once needs no timer
            while not work.done() and not (await asyncio.wait({work}, timeout=HEARTBEAT))[0]:
                seq += 1
                yield RunProgress(**_names(execution), seq=seq)
            yield _finished(work, execution, (time.monotonic() - began) * 1000)
        finally:
            if self._working.get(task.id) is work:  # a later attempt may have taken the place
                del self._working[task.id]
            work.cancel()

    async def _on_cancelled(self, message: Msg) -> None:
        with contextlib.suppress(InvalidEventError):
            data = decode(message.data, message.headers).data
            if isinstance(data, TaskCancelled) and (work := self._working.get(data.task_id)) is not None:
                work.cancel()


def _names(execution: _Execution) -> dict[str, object]:
    return {name: getattr(execution, name) for name in _Execution.__slots__}


def work_of(task: TaskView) -> Work:
    """The work with redacted texts in place of the original ones."""
    spec, redacted = task.spec, task.redacted
    return Work(
        prompt=redacted.get("goal", spec.prompt),
        context=redacted.get("context", spec.context.text or ""),
        acceptance_criteria=tuple(
            redacted.get(f"acceptance_criteria/{index}", text) for index, text in enumerate(spec.acceptance_criteria)
        ),
    )


def _lost(task: TaskView) -> RunFinished:
    if task.run_id is None or task.execution_id is None or task.agent_id is None:
        raise NotCommittedYetError
    return RunFinished(
        run_id=task.run_id,
        task_id=task.id,
        attempt=task.attempt,
        execution_id=task.execution_id,
        agent_id=task.agent_id,
        outcome="lost",
        error=TaskError(code="run_lost", message="The process that ran the agent ended.", retryable=True),
    )


def _finished(work: asyncio.Task[Answer], execution: _Execution, ms: float) -> RunFinished:
    """The outcome of a run that is over, whatever it ended with."""
    if work.cancelled():
        error = TaskError(code="cancelled", message="The run was stopped.")
        return RunFinished(**_names(execution), outcome="cancelled", error=error, usage=Usage(ms=ms))
    failure = work.exception()
    if failure is not None:
        return RunFinished(**_names(execution), outcome="failed", error=_described(failure), usage=Usage(ms=ms))
    answer = work.result()
    usage = Usage(tokens=answer.tokens, cost_usd=answer.cost_usd, ms=ms)
    return RunFinished(**_names(execution), outcome="succeeded", output=_encodable(answer.output), usage=usage)


def _described(failure: BaseException) -> TaskError:
    """A friendly error: an unforeseen exception's text may hold anything, so it goes to our log only."""
    if isinstance(failure, GanglionError):
        return TaskError(code=failure.code, message=failure.detail, retryable=failure.retryable)
    log.error("agent_failed", error=type(failure).__name__, exc_info=failure)
    return TaskError(code="agent_error", message="The agent failed unexpectedly.", retryable=True)


def _encodable(output: JsonObject) -> JsonObject:
    """The output with lone surrogates replaced: no UTF-8 exists for them, so no event could carry them."""
    return {_utf8(key): _clean(value) for key, value in output.items()}  # type: ignore[misc]  # JSON in, JSON out


def _clean(value: object) -> object:
    if isinstance(value, str):
        return _utf8(value)
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {_utf8(str(key)): _clean(item) for key, item in value.items()}
    return value


def _utf8(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def build(resources: Resources) -> Slots:
    """The consumer with the agents of this process."""
    runner = Runner([ExtractiveAgent()], resources.lookup)
    return Slots(RUNNER, runner.run, start=partial(runner.watch_cancellations, resources.client))
