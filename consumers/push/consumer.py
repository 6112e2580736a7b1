"""Calls outside agents with the tasks that were assigned to them, one call an attempt (requirements 002.2, EAP).

The call is open for as long as the agent works. A message that comes again means that its process died: the run is
reported lost, and the keeper decides on another attempt; who did the work already recognises the task.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence

import structlog

from consumers._execution import Execution, assigned, lost_of, seconds_for
from consumers._references import References
from consumers._run_facts import Facts, checked_files
from consumers._steps import steps_of
from consumers._stops import Stop, Stops
from consumers.push.answer import Answer, read_answer
from consumers.push.client import AgentClient, Call
from consumers.push.request import LONGEST, body_for
from events.base import Event, EventData
from events.endpoints import EndpointForbiddenError
from events.errors import GanglionError, TransientError
from events.ids import new_id
from events.run import CALLER_LOST, Outcome, RunFinished
from events.signing import SIGNING
from events.streams import PUSH
from events.task import TaskAssigned, TaskError
from screening.sealing import Sealer
from storage.called import CalledAgent
from storage.lookup import Lookup, TaskView

log = structlog.get_logger()

SOURCE = f"/consumers/{PUSH.name}"
HEARTBEAT = 20.0
_LAST_WORDS = 1.0
_DECLINED = "declined"
"""What the keeper knows a run by that is handed back before it began: it costs no attempt."""
_HANDED_BACK = TaskError(code=_DECLINED, message="The agent is not called any more.", retryable=True)


class Push:
    """One assignment at a time, many side by side."""

    def __init__(
        self, client: AgentClient, lookup: Lookup, sealer: Sealer | None, *, heartbeat: float = HEARTBEAT
    ) -> None:
        self._client = client
        self._lookup = lookup
        self._references = References(lookup)
        self._sealer = sealer
        self._heartbeat = heartbeat
        self.stops = Stops()

    async def run(self, event: Event[EventData]) -> AsyncIterator[EventData]:
        """The facts of one run, in order; nothing of a task that is not where its event says it is any more."""
        data = event.data
        if not isinstance(data, TaskAssigned) or data.agent_id is None or not data.pushed:
            return
        with self.stops.watching(data.task_id, data.attempt) as stop:
            task = await assigned(data, self._lookup)
            if task is None or task.run_id is None:
                return
            if task.status == "running":
                yield lost_of(task, CALLER_LOST)
                return
            execution = Execution(task.run_id, task.id, task.attempt, new_id(), data.agent_id)
            facts = Facts(execution, SOURCE)
            agent = await self._lookup.called(event.tenantid, data.agent_id)
            if agent is None:
                yield facts.finished("lost", 0.0, error=_HANDED_BACK)
                return
            if self._sealer is None:
                yield facts.started()
                yield _failed(facts, 0.0, "no_signing_key", "There is no key to sign the call with.", retryable=True)
                return
            seconds = min(seconds_for(task), LONGEST)
            secrets = self._sealer.secrets_for(event.tenantid, SIGNING, data.agent_id, agent.token_hash)
            call = await self._call(event, task, agent, secrets, seconds)
            async for fact in self._called(call, task, facts, stop, seconds):
                yield fact

    async def _call(
        self, event: Event[EventData], task: TaskView, agent: CalledAgent, secrets: Sequence[bytes], seconds: float
    ) -> Call:
        contexts, steps = await self._references.of(task), await steps_of(task.spec, self._lookup)
        body = body_for(task, seconds, contexts, steps)
        return Call(agent.endpoint_url, str(task.run_id), secrets, body, event.traceparent)

    async def _called(
        self, call: Call, task: TaskView, facts: Facts, stop: Stop, seconds: float
    ) -> AsyncIterator[EventData]:
        began = time.monotonic()
        yield facts.started()
        work = asyncio.create_task(self._client.ask(call))
        stop.follow(work)
        try:
            in_time = True
            async for alive in self._while_it_works(work, task, facts, began + seconds):
                yield alive
            if not work.done():
                in_time = False
                work.cancel()
                await asyncio.wait({work}, timeout=_LAST_WORDS)
            for fact in _ended(work, task, facts, (time.monotonic() - began) * 1000, in_time=in_time):
                yield fact
        finally:
            work.cancel()

    async def _while_it_works(
        self, work: "asyncio.Task[bytes]", task: TaskView, facts: Facts, until: float
    ) -> AsyncIterator[EventData]:
        """A sign of life every 20 s; ends with the call, or at `until`. Who has missed that the task went on without
        this run reads it in the row.
        """
        while not work.done() and (left := until - time.monotonic()) > 0:
            await asyncio.wait({work}, timeout=min(left, self._heartbeat))
            if work.done() or time.monotonic() >= until:
                return
            if not await self._is_wanted(task):
                work.cancel()
                await asyncio.wait({work}, timeout=_LAST_WORDS)
                return
            yield facts.alive()

    async def _is_wanted(self, task: TaskView) -> bool:
        try:
            now = await self._lookup.task(task.id)
        except TransientError:
            return True
        return now is None or (now.attempt == task.attempt and now.status in ("assigned", "running"))


def _ended(
    work: "asyncio.Task[bytes]", task: TaskView, facts: Facts, ms: float, *, in_time: bool
) -> Iterator[EventData]:
    """The files that the agent left, and the end of the run."""
    if not work.done() or work.cancelled():
        yield _stopped(facts, ms, in_time=in_time)
        return
    try:
        answer = read_answer(work.result(), task.id)
        files = checked_files(answer.files)
        if files:
            yield from facts.snapshot(files, answer.media_types)
        yield _outcome(answer, facts, ms)
    except GanglionError as error:
        elsewhere = error.retryable or isinstance(error, EndpointForbiddenError)
        yield _failed(facts, ms, error.code, error.detail, retryable=elsewhere)
    except Exception as error:  # what it says may hold anything; the log has its class and place only
        log.exception("push_failed", error=type(error).__name__)
        yield _failed(facts, ms, "agent_error", "The call of the agent failed unexpectedly.", retryable=True)


def _stopped(facts: Facts, ms: float, *, in_time: bool) -> RunFinished:
    outcome: Outcome = "cancelled" if in_time else "timed_out"
    error = (
        TaskError(code="cancelled", message="The run was stopped.")
        if in_time
        else TaskError(code="agent_timeout", message="The agent did not answer in time and was stopped.")
    )
    return facts.finished(outcome, ms, error=error)


def _outcome(answer: Answer, facts: Facts, ms: float) -> RunFinished:
    """As the agent has it: completed or failed, with what it spent."""
    failed = answer.status == "failed"
    return facts.finished(
        "failed" if failed else "succeeded",
        ms,
        output=answer.output_data if failed else (answer.output_data or {}),
        tokens=answer.tokens_used or 0,
        cost_usd=answer.cost_usd or 0.0,
        error=TaskError(code="agent_error", message=answer.why) if failed else None,
    )


def _failed(facts: Facts, ms: float, code: str, message: str, *, retryable: bool) -> RunFinished:
    return facts.finished("failed", ms, error=TaskError(code=code, message=message, retryable=retryable))
