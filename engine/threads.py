"""The threads of this engine: started once a job, followed by anyone, resumed after a crash, forgotten when told."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Literal, cast

import structlog

from engine import frames
from engine.checkpoints import STORE_FAULTS, Checkpoints, Failure, Record
from engine.errors import FullError, StoreAwayError, UnknownThreadError
from engine.execution import advance, config_of
from engine.feed import Feed, Listener
from engine.graph import Graph
from engine.job import JobExecutionEvent
from engine.metrics import ENDED, RUNNING
from engine.state import SpecState
from engine.writing.request import Request

log = structlog.get_logger()

Answer = Literal["started", "processing", "completed"]
_PAUSE = (0.2, 5.0)  # seconds between tries while the database is away: first, longest


class Threads:
    """At most `running` threads work at once and `waiting` more are held; one process of this class a database."""

    def __init__(self, graph: Graph, checkpoints: Checkpoints, *, running: int = 16, waiting: int = 1_000) -> None:
        self._graph = graph
        self._checkpoints = checkpoints
        self._slots = asyncio.Semaphore(running)
        self._most = running + waiting
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._feeds: dict[str, Feed] = {}
        self._changing = asyncio.Lock()
        self.is_resumed = False

    async def invoke(self, job: JobExecutionEvent) -> Answer:
        """Start a job, once: its input is committed before this returns. A failed one goes on where it stopped."""
        async with self._changing:
            if job.job_id in self._tasks:
                return "processing"
            record = await self._checkpoints.record(job.job_id)
            if record is not None and record["status"] == "completed":
                return "completed"
            if len(self._tasks) >= self._most:
                raise FullError(retry_after=5.0)
            if record is None:
                await self._commit_input(job)
            await self._checkpoints.note(job.job_id, Record(status="running", trace_id=job.trace_id, error=None))
            self._start(job.job_id)
            return "started"

    async def _commit_input(self, job: JobExecutionEvent) -> None:
        asked = SpecState(request=_request(job))
        try:
            await self._graph.aupdate_state(config_of(job.job_id), asked, as_node="__start__")
        except STORE_FAULTS as error:
            raise StoreAwayError from error

    async def resume(self) -> int:
        """Go on with what was running when this engine, or the one before it, was killed."""
        unfinished = await self._checkpoints.unfinished()
        for thread_id, _ in unfinished:
            if thread_id not in self._tasks:
                self._start(thread_id)
        self.is_resumed = True
        return len(unfinished)

    async def record(self, thread_id: str) -> Record:
        """What is known of a thread. Raises UnknownThreadError."""
        record = await self._checkpoints.record(thread_id)
        if record is None:
            raise UnknownThreadError
        return record

    async def values(self, thread_id: str) -> SpecState:
        """The newest committed state of a thread."""
        try:
            snapshot = await self._graph.aget_state(config_of(thread_id))
        except STORE_FAULTS as error:
            raise StoreAwayError from error
        return cast("SpecState", snapshot.values)

    def listen(self, thread_id: str) -> tuple[Listener, Callable[[], None]] | None:
        """A listener to a running thread and how to leave; None when it does not run."""
        feed = self._feeds.get(thread_id)
        if feed is None:
            return None
        listener = feed.listen()
        return listener, lambda: feed.leave(listener)

    async def forget(self, thread_id: str) -> None:
        """Stop a thread and delete all of it. Raises UnknownThreadError."""
        async with self._changing:
            task = self._tasks.pop(thread_id, None)
            if task is not None:
                await _stopped(task)
            known = await self._checkpoints.record(thread_id)
            await self._checkpoints.forget(thread_id)
        if known is None:
            raise UnknownThreadError

    async def forget_ended(self, older_than: timedelta) -> int:
        """Delete threads that ended so long ago; what nobody resolved must not pile up."""
        ended = await self._checkpoints.ended_before(datetime.now(UTC) - older_than)
        for thread_id in ended:
            with contextlib.suppress(UnknownThreadError):
                await self.forget(thread_id)
        return len(ended)

    async def stop(self) -> None:
        """Stop working; what runs is resumed by the next engine."""
        for task in list(self._tasks.values()):
            await _stopped(task)

    def _start(self, thread_id: str) -> None:
        feed = self._feeds[thread_id] = Feed()
        task = self._tasks[thread_id] = asyncio.create_task(self._work(thread_id, feed))
        RUNNING.set(len(self._tasks))
        task.add_done_callback(lambda done: self._ended(thread_id, done))

    def _ended(self, thread_id: str, task: asyncio.Task[None]) -> None:
        if self._tasks.get(thread_id) is task:
            del self._tasks[thread_id]
        if (feed := self._feeds.pop(thread_id, None)) is not None:
            feed.close()
        RUNNING.set(len(self._tasks))
        if not task.cancelled() and (failure := task.exception()) is not None:
            log.error("thread_lost", thread_id=thread_id, exc_info=failure)

    async def _work(self, thread_id: str, feed: Feed) -> None:
        """Run to the end through outages of the database; the end is committed before anyone hears of it."""
        pause = _PAUSE[0]
        async with self._slots:
            while True:
                try:
                    failure = await advance(self._graph, thread_id, feed)
                    await self._conclude(thread_id, failure)
                    break
                except (StoreAwayError, *STORE_FAULTS) as error:
                    log.warning("store_away", thread_id=thread_id, error=type(error).__name__)
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, _PAUSE[1])
        if failure is not None:
            feed.publish(frames.error(failure["code"], failure["message"], retryable=failure["retryable"]))
        feed.publish(frames.end())

    async def _conclude(self, thread_id: str, failure: Failure | None) -> None:
        record = await self._checkpoints.record(thread_id)
        if record is None:
            return
        if failure is None and "result" not in await self.values(thread_id):
            failure = Failure(code="no_result", message="The run ended without a result.", retryable=True)
        record["status"] = "completed" if failure is None else "failed"
        record["error"] = failure
        await self._checkpoints.note(thread_id, record)
        await self._checkpoints.prune(thread_id)
        ENDED.labels(record["status"]).inc()
        log.info("thread_ended", thread_id=thread_id, status=record["status"], trace_id=record["trace_id"])


def _request(job: JobExecutionEvent) -> Request:
    asked = job.input_payload
    return Request(
        instructions=asked.instructions,
        background=asked.context.text or "",
        file_path=asked.context.file_path or "",
        selection=asked.context.selection or "",
        acceptance=list(asked.acceptance_criteria),
        files=asked.files,
        max_tokens=asked.budget.max_tokens,
    )


async def _stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
