"""Runs assigned refinements on the spec engine: nobody needs to be connected for the result to be kept.

The thread on the engine outlives this process: a run whose process died is reported lost, and the next attempt finds
the thread where it is (thread id = task id).
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from uuid import UUID

import structlog

from consumers._breaker import BreakerOpenError
from consumers._engine.client import SpecEngineClient
from consumers._engine.errors import EngineAwayError, EngineRefusedError, UnknownThreadError
from consumers._engine.settings import EngineSettings
from consumers._execution import Execution, assigned, lost_of
from consumers._run_facts import Facts, checked_files
from consumers._stops import Stop, Stops
from consumers.spec_engine.job import job_for
from consumers.spec_engine.verdict import Done, Verdict
from consumers.spec_engine.watch import Step, Watch
from events import trace
from events.agent import ENGINE_AGENT
from events.base import Event, EventData, JsonObject
from events.errors import GanglionError
from events.ids import new_id
from events.run import RunFinished
from events.streams import SPEC_ENGINE
from events.task import TaskAssigned, TaskError
from storage.lookup import Lookup, TaskView

log = structlog.get_logger()

UNAVAILABLE = "engine_unavailable"
HEARTBEAT = 20.0
SNAPSHOTS = 0.5
"""Seconds between two snapshots of a run: each is all of its files, screened, kept and sent to every reader."""
_PAUSES = (0.25, 5.0)
_NOTES = 1.0
"""Seconds between two things that the engine says about its progress."""
_SUMMARY = 2_000
"""Characters of what the engine says of its work."""
_MESSAGES = {
    "unknown_thread": "The spec engine lost the run.",
    "engine_stalled": "The spec engine showed nothing new for too long.",
    "no_files": "The spec engine ended without files.",
}


class SpecEngine:
    """One task of the agent `spec-engine` at a time, many side by side."""

    def __init__(self, client: SpecEngineClient, lookup: Lookup, settings: EngineSettings) -> None:
        self._client = client
        self._lookup = lookup
        self._settings = settings
        self._running: set[tuple[UUID, int]] = set()
        self.stops = Stops()

    async def run(self, event: Event[EventData]) -> AsyncGenerator[EventData]:
        """The facts of one run, in order; nothing of a task that is another agent's, or in hand already."""
        data = event.data
        if not isinstance(data, TaskAssigned) or data.agent_id != ENGINE_AGENT:
            return
        place = (data.task_id, data.attempt)
        if place in self._running:  # a re-send while we wait for the engine
            return
        self._running.add(place)
        try:
            with self.stops.watching(data.task_id, data.attempt) as stop:
                async with contextlib.aclosing(self._look(data, stop, event.traceparent)) as facts:
                    async for fact in facts:
                        yield fact
        finally:
            self._running.discard(place)

    async def _look(self, data: TaskAssigned, stop: Stop, traceparent: str | None) -> AsyncGenerator[EventData]:
        task = await assigned(data, self._lookup)
        if task is None:
            return
        if task.status == "running":
            yield lost_of(task)
            return
        client = self._client.traced(traceparent)
        run = Refinement(client, self._lookup, self._settings, task, stop, trace_id=trace.trace_id(traceparent))
        async with contextlib.aclosing(run.facts()) as facts:
            async for fact in facts:
                yield fact


class Refinement:
    """One attempt: hand the job over, watch the thread, keep what it writes, say how it ended."""

    def __init__(
        self,
        client: SpecEngineClient,
        lookup: Lookup,
        settings: EngineSettings,
        task: TaskView,
        stop: Stop,
        *,
        trace_id: str | None,
    ) -> None:
        assert task.run_id is not None  # noqa: S101 - looked at by the caller
        self._client = client
        self._lookup = lookup
        self._settings = settings
        self._task = task
        self._trace_id = trace_id
        self._thread_id = str(task.id)
        self._stop = stop
        self._stopped: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        stop.follow(self._stopped)
        execution = Execution(task.run_id, task.id, task.attempt, new_id(), ENGINE_AGENT)
        self._facts = Facts(execution, f"/consumers/{SPEC_ENGINE.name}")
        self._began = 0.0
        self._unsaid: dict[str, str] | None = None
        self._snapshot_at = float("-inf")

    async def facts(self) -> AsyncGenerator[EventData]:
        """All facts of the run."""
        job = job_for(self._task, await self._lookup.base_files(self._task.id), self._trace_id)
        refused: EngineRefusedError | None = None
        try:
            async for delayed in self._until_taken(job):
                yield delayed
        except EngineRefusedError as error:
            refused = error
        if self._stop.wanted:
            await self._forget()
            return
        self._began = time.monotonic()
        yield self._facts.started(self._thread_id)
        if refused is not None:
            yield self._failed(refused.code, refused.detail, retryable=False)
            return
        try:
            async with Watch(self._client, self._thread_id, self._settings) as watch:
                self._stopped.add_done_callback(lambda _: watch.wake())
                async for fact in self._watched(watch):
                    yield fact
        except GanglionError as error:
            await self._forget()
            yield self._failed(error.code, error.detail, retryable=error.retryable)

    async def _until_taken(self, job: JsonObject) -> AsyncGenerator[EventData]:
        """Hand over the job. While the engine is away the task waits, and says so at once and now and again."""
        pause, told = _PAUSES[0], float("-inf")
        while not self._stop.wanted:
            with contextlib.suppress(EngineAwayError, BreakerOpenError):
                if await self._client.ready():
                    await self._client.invoke(job)
                    return
            if time.monotonic() - told >= HEARTBEAT:
                told = time.monotonic()
                yield self._facts.delayed(UNAVAILABLE)
            await asyncio.wait({self._stopped}, timeout=pause)
            pause = min(pause * 2, _PAUSES[1])

    async def _watched(self, watch: Watch) -> AsyncGenerator[EventData]:
        """Facts until the thread is over, the task goes on without us, or the time is up."""
        until = self._began + self._seconds()
        beaten = self._began
        was_away = False
        while True:
            step = await watch.step(self._pause(min(until, beaten + HEARTBEAT)))
            for fact in self._said(step):
                yield fact
            if (end := self._cut_short(until)) is not None:
                if end.outcome == "timed_out":
                    await self._forget()
                yield end
                return
            if step.verdict is not None:
                async for fact in self._ended(step.verdict):
                    yield fact
                return
            silent = time.monotonic() - beaten
            if step.away != was_away or silent >= HEARTBEAT or (step.note and silent >= _NOTES):
                was_away, beaten = step.away, time.monotonic()
                yield self._facts.alive(UNAVAILABLE if step.away else step.note)

    def _pause(self, until: float) -> float:
        """Seconds to wait for news: shorter when a snapshot is held back."""
        if self._unsaid is not None:
            until = min(until, self._snapshot_at + SNAPSHOTS)
        return max(0.0, until - time.monotonic())

    def _cut_short(self, until: float) -> RunFinished | None:
        """The end of a run that is not the thread's: it was stopped, or its time is up."""
        if self._stop.wanted:
            return self._facts.finished("cancelled", self._ms(), error=_error("cancelled", "The run was stopped."))
        if time.monotonic() >= until:
            error = _error("agent_timeout", "The engine did not end in time and was stopped.")
            return self._facts.finished("timed_out", self._ms(), error=error)
        return None

    def _said(self, step: Step) -> list[EventData]:
        """What came. Snapshots are whole, so of those that come fast only the newest is published."""
        facts: list[EventData] = [self._facts.said(step.text)] if step.text else []
        self._unsaid = self._unsaid if step.files is None else step.files
        now = time.monotonic()
        if self._unsaid is not None and now - self._snapshot_at >= SNAPSHOTS:
            facts += self._facts.snapshot(checked_files(self._unsaid))
            self._unsaid, self._snapshot_at = None, now
        return facts

    async def _ended(self, verdict: Verdict) -> AsyncGenerator[EventData]:
        if isinstance(verdict, Done):
            files = checked_files(verdict.files)
            for fact in self._facts.snapshot(files):
                yield fact
            text = (verdict.summary or "")[:_SUMMARY] or f"The spec engine wrote {len(files)} files."
            yield self._facts.finished("succeeded", self._ms(), text=text, tokens=verdict.tokens)
        else:
            if verdict.code in ("engine_stalled", "no_files"):
                await self._forget()
            message = _MESSAGES.get(verdict.code, "The spec engine failed.")
            yield self._failed(verdict.code, message, retryable=verdict.retryable)

    async def _forget(self) -> None:
        """Have the next attempt start over; if the engine does not hear it, the cleanup after the task's end does."""
        with contextlib.suppress(EngineAwayError, BreakerOpenError, EngineRefusedError, UnknownThreadError):
            await self._client.cleanup(self._thread_id)

    def _failed(self, code: str, message: str, *, retryable: bool) -> EventData:
        return self._facts.finished("failed", self._ms(), error=_error(code, message, retryable=retryable))

    def _ms(self) -> float:
        return (time.monotonic() - self._began) * 1000

    def _seconds(self) -> float:
        """How long the run may take: the task's budget and deadline."""
        spec = self._task.spec
        seconds = float(spec.budget.max_time_seconds)
        if spec.deadline_at is not None:
            seconds = min(seconds, (spec.deadline_at - datetime.now(UTC)).total_seconds())
        return max(0.0, seconds)


def _error(code: str, message: str, *, retryable: bool = False) -> TaskError:
    return TaskError(code=code, message=message, retryable=retryable)
