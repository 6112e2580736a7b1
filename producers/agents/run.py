"""One run: begun if it is ours to begin, kept alive, stopped when nobody wants it any more, ended with one outcome."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import structlog

from events.base import JsonObject
from events.errors import InvalidPathError
from producers.agents.context import Context
from producers.agents.errors import AgentError, NotMineError
from producers.agents.line import Lines
from producers.agents.work import Result, Returned, Task, result_of
from producers.sdk.errors import ProducerError, RefusedError

log = structlog.get_logger()

BEAT = 20.0
DECLINED, DRAINED = "declined", "drained"
_HANDED_BACK = "The agent is leaving and hands the work back."
_LAST_WORDS = 5.0
_END_WITHIN = 600.0

Handler = Callable[[Task, Context], Awaitable[Returned]]


class Run:
    """One assignment in hand."""

    def __init__(self, lines: Lines, task: Task, *, beat: float = BEAT) -> None:
        self._ctx = Context(lines, task)
        self._task = task
        self._beat = beat
        self._work: asyncio.Task[Result] | None = None
        self._stopped = ""

    async def do(self, handler: Handler) -> None:
        """All of it; returns when the end is kept, or when the run is not ours."""
        began = time.monotonic()
        try:
            await self._ctx.state("run.started", {})
            end = await self._until_done(handler)
            end["usage"] = {**self._ctx.usage, "ms": (time.monotonic() - began) * 1000}
            await self._say_end(end)
        except NotMineError as over:
            log.info("run_not_ours", task=str(self._task.id), code=over.code)
        except (ProducerError, TimeoutError) as error:
            log.warning("run_left", task=str(self._task.id), error=type(error).__name__)

    async def decline(self) -> None:
        """Hand the assignment back: somebody else may begin at once."""
        with contextlib.suppress(NotMineError, ProducerError, TimeoutError):
            end = _ended("lost", DECLINED, _HANDED_BACK, retryable=True)
            await self._ctx.state("run.finished", end, within=30.0)

    def stop(self, reason: str) -> None:
        """Cancel the handler, at once."""
        self._stopped = self._stopped or reason
        if self._work is not None:
            self._work.cancel()

    async def _until_done(self, handler: Handler) -> JsonObject:
        """The outcome, as `run.finished` says it."""
        work = self._work = asyncio.create_task(_called(handler, self._task, self._ctx))
        if self._stopped:
            work.cancel()
        beating = asyncio.create_task(self._live())
        try:
            await asyncio.wait({work}, timeout=_seconds_for(self._task))
            in_time = work.done()
            if not in_time:
                work.cancel()
                await asyncio.wait({work}, timeout=_LAST_WORDS)
        except asyncio.CancelledError:
            work.cancel()  # it is no part of us, and would go on by itself
            raise
        finally:
            beating.cancel()
        return self._outcome(work, in_time=in_time)

    def _outcome(self, work: "asyncio.Task[Result]", *, in_time: bool) -> JsonObject:
        if not in_time:
            return _ended("timed_out", "agent_timeout", "The agent did not answer in time.")
        if work.cancelled() and self._stopped:
            if self._stopped == DRAINED:
                return _ended("lost", DECLINED, _HANDED_BACK, retryable=True)
            return _ended("cancelled", "cancelled", "The run was stopped.")
        # What nobody stopped has cancelled something of its own and waited for it.
        failure = asyncio.CancelledError() if work.cancelled() else work.exception()
        if failure is not None:
            return self._failure(failure)
        result = work.result()
        end: JsonObject = {"outcome": "partial" if result.partial else "succeeded", "output": result.output}
        if result.quality is not None:
            end["quality"] = result.quality
        return end

    def _failure(self, failure: BaseException) -> JsonObject:
        """What a handler that raised this has come to. Raises NotMineError if that is it."""
        if isinstance(failure, NotMineError):
            raise failure
        if isinstance(failure, AgentError):
            return _ended("failed", failure.code, failure.message, retryable=failure.retryable)
        if isinstance(failure, InvalidPathError):
            return _ended("failed", failure.code, failure.detail)
        if isinstance(failure, RefusedError):  # and would be refused again
            log.warning("handler_refused", task=str(self._task.id), code=failure.code, why=str(failure))
            return _ended("failed", failure.code, "What the agent said was refused.")
        log.error("handler_failed", task=str(self._task.id), exc_info=failure)
        return _ended("failed", "agent_error", "The agent failed unexpectedly.", retryable=True)

    async def _say_end(self, end: JsonObject) -> None:
        if self._ctx.snapshot is not None:
            end["snapshot"] = self._ctx.snapshot
        try:
            await self._ctx.state("run.finished", end, within=_END_WITHIN)
        except AgentError as failure:  # the output is too large: say that instead
            await self._ctx.state("run.finished", _ended("failed", failure.code, failure.message))
        except RefusedError as refusal:
            log.warning("end_refused", task=str(self._task.id), code=refusal.code, why=str(refusal))
            error = "The agent's answer was refused."
            await self._ctx.state("run.finished", _ended("failed", refusal.code, error))

    async def _live(self) -> None:
        """A sign of life now and then; a refused one means that nobody wants the run any more."""
        while True:
            await asyncio.sleep(self._beat)
            try:
                await self._ctx.progress()
            except NotMineError as over:
                self.stop(over.code)
                return
            except (ProducerError, TimeoutError) as error:
                log.warning("beat_unsaid", task=str(self._task.id), error=type(error).__name__)


async def _called(handler: Handler, task: Task, ctx: Context) -> Result:
    return result_of(await handler(task, ctx))


def _ended(outcome: str, code: str, message: str, *, retryable: bool = False) -> JsonObject:
    return {"outcome": outcome, "error": {"code": code, "message": message, "retryable": retryable}}


def _seconds_for(task: Task) -> float:
    """How long the run may take: the task's budget and deadline."""
    seconds = float(task.budget.max_time_seconds)
    if task.deadline_at is not None:
        seconds = min(seconds, (task.deadline_at - datetime.now(UTC)).total_seconds())
    return max(0.0, seconds)
