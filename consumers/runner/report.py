"""What one agent says while it works, turned into facts of its run: in order, pieces of text merged, bounded."""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from pydantic import ValidationError
from pydantic_core import to_json

from consumers._execution import Execution
from consumers.runner.encodable import encodable, utf8
from events.base import EventData, JsonObject
from events.errors import PermanentError
from events.run import MAX_CHECKPOINT, RunDelta, RunEvent, RunProgress, RunToolCalled
from events.task import Budget

PACE = 0.025
"""Seconds between two pieces of text: what is said faster goes out together."""

_ROOM = 64 * 1024
_KEPT = 512 * 1024


class BudgetExceededError(PermanentError):
    """The run spent more than the task may cost."""

    code = "budget_exceeded"


class CheckpointTooLargeError(PermanentError):
    """The checkpoint is larger than 64 KiB."""

    code = "output_too_large"


class RefusedWordsError(PermanentError):
    """What the agent said was refused."""

    code = "invalid_request"


@contextmanager
def _said_well() -> Iterator[None]:
    """What no fact can say fails the run for good: it would be said again by the next attempt."""
    try:
        yield
    except ValidationError as error:
        raise RefusedWordsError from error


class Report:
    """The agent's side says, the runner's side takes; who says too much waits until some of it is taken."""

    def __init__(self, execution: Execution, budget: Budget) -> None:
        self._names = execution.named()
        self._budget = budget
        self._waiting: deque[RunEvent | str] = deque()
        self._unsent = 0
        self._length = 0
        self._kept = 0
        self._numbers = {"delta": 0, "tool": 0, "progress": 0}
        self._something = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._said: list[str] = []
        self._text_due = 0.0
        self.tokens = 0
        self.cost_usd = 0.0
        self.output: JsonObject | None = None

    @property
    def text(self) -> str:
        """All that was said so far, at most 512 K characters of it."""
        return "".join(self._said)

    async def say(self, text: str) -> None:
        """See `Reporter.say`."""
        await self._room.wait()
        if not text:
            return
        text = utf8(text)
        if self._kept < _KEPT:
            self._said.append(text)
            self._kept += len(text)
        self._waiting.append(text)
        self._unsent += len(text)
        if self._unsent > _ROOM:
            self._room.clear()
        self.wake()

    async def used(
        self,
        tool: str,
        parameters: JsonObject,
        result: JsonObject | None = None,
        *,
        status: Literal["succeeded", "failed"] = "succeeded",
    ) -> None:
        """See `Reporter.used`."""
        await self._room.wait()
        with _said_well():
            called = RunToolCalled(
                **self._names,
                seq=self._next("tool"),
                tool=utf8(tool),
                parameters=encodable(parameters),
                result=None if result is None else encodable(result),
                status=status,
            )
        self._put(called)

    async def progress(self, note: str | None = None, percent: float | None = None) -> None:
        """See `Reporter.progress`."""
        await self._room.wait()
        with _said_well():
            beat = self.beat(note, percent)
        self._put(beat)

    async def checkpoint(self, data: JsonObject, note: str | None = None) -> None:
        """See `Reporter.checkpoint`."""
        await self._room.wait()
        with _said_well():
            said = self.beat(note).model_copy(update={"checkpoint": encodable(data)})
        size = len(to_json(said.checkpoint))
        if size > MAX_CHECKPOINT:
            raise CheckpointTooLargeError
        self._put(said, size)

    def spent(self, tokens: int = 0, cost_usd: float = 0.0) -> None:
        """See `Reporter.spent`."""
        self.tokens += tokens
        self.cost_usd += cost_usd
        if self.tokens > self._budget.max_tokens or self.cost_usd > self._budget.max_cost_usd:
            raise BudgetExceededError

    def beat(self, note: str | None = None, percent: float | None = None) -> RunProgress:
        """A sign of life, with what it has to say."""
        return RunProgress(**self._names, seq=self._next("progress"), note=note, percent=percent)

    def wake(self) -> None:
        """Let `wait` return."""
        self._something.set()

    async def wait(self, seconds: float) -> None:
        """Until there is something to take, the work is done (who waits must have it `wake`), or the time is up."""
        try:
            async with asyncio.timeout(seconds):
                await self._something.wait()
        except TimeoutError:
            return

    def pause(self) -> float:
        """Seconds that text which waits alone should wait for company; 0 if anything else waits."""
        if not self._waiting or any(not isinstance(item, str) for item in self._waiting):
            return 0.0
        return max(0.0, self._text_due - asyncio.get_running_loop().time())

    def take(self) -> list[EventData]:
        """All that waits, in order, neighbouring pieces of text as one."""
        self._something.clear()
        facts: list[EventData] = []
        pieces: list[str] = []
        while self._waiting:
            item = self._waiting.popleft()
            if isinstance(item, str):
                pieces.append(item)
                continue
            facts += self._delta(pieces)
            facts.append(item)
        facts += self._delta(pieces)
        self._unsent = 0
        self._room.set()
        return facts

    def _delta(self, pieces: list[str]) -> list[RunDelta]:
        if not pieces:
            return []
        text = "".join(pieces)
        pieces.clear()
        delta = RunDelta(**self._names, seq=self._next("delta"), offset=self._length, text=text)
        self._length += len(text)
        self._text_due = asyncio.get_running_loop().time() + PACE
        return [delta]

    def _put(self, fact: RunEvent, size: int = 0) -> None:
        self._waiting.append(fact)
        self._unsent += 256 + size
        if self._unsent > _ROOM:
            self._room.clear()
        self.wake()

    def _next(self, what: str) -> int:
        self._numbers[what] += 1
        return self._numbers[what]
