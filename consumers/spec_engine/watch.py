"""Watching one thread of the engine: an open stream that comes back when it breaks, and polls of its state."""

import asyncio
import contextlib
from types import TracebackType
from typing import NamedTuple, Self

import structlog

from consumers._breaker import BreakerOpenError
from consumers._engine.answers import End, Failure, Frame, Said, ThreadState, Update
from consumers._engine.client import SpecEngineClient
from consumers._engine.errors import EngineAwayError, EngineRefusedError, UnknownThreadError
from consumers._engine.settings import EngineSettings
from consumers.spec_engine.verdict import Evidence, Verdict, judge

log = structlog.get_logger()

_PAUSES = (0.1, 5.0)
_MERGE = 0.025
_MAX_TEXT = 128 * 1024
"""Characters between two steps; in JSON each has six bytes at most, so they fit into one event."""
_WHILE_STREAMING = 5.0
"""While the stream lives the state is asked so many times less often."""


class Step(NamedTuple):
    """What came since the last one; `files` are all files, if they changed."""

    text: str = ""
    files: dict[str, str] | None = None
    note: str | None = None
    away: bool = False
    verdict: Verdict | None = None


class Watch:
    """Gathers evidence on a thread beside its owner, who asks for steps; holds one snapshot and 128 Ki characters.

    `async with` begins and ends the watching; `wake` makes a step return early.
    """

    def __init__(self, client: SpecEngineClient, thread_id: str, settings: EngineSettings) -> None:
        self._client = client
        self._thread_id = thread_id
        self._settings = settings
        self._evidence = Evidence()
        self._answers = True
        self._heard = 0
        self._mark = ""
        self._text: list[str] = []
        self._length = 0
        self._note: str | None = None
        self._new_files = False
        self._news = asyncio.Event()
        self._ask = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._last_news = 0.0

    async def __aenter__(self) -> Self:
        self._last_news = self._now()
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._poll())]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def wake(self) -> None:
        """Let the step that is waited for return."""
        self._news.set()

    async def step(self, within: float) -> Step:
        """What came, as soon as something did, or after `within` seconds at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._news.wait()
                await asyncio.sleep(_MERGE)  # what comes together goes out together
        self._raise_defects()
        self._news.clear()
        step = Step("".join(self._text), self._taken_files(), self._note, not self._answers, self._verdict())
        self._text, self._length, self._note = [], 0, None
        return step

    def _taken_files(self) -> dict[str, str] | None:
        is_new, self._new_files = self._new_files, False
        return self._evidence.files if is_new else None

    def _verdict(self) -> Verdict | None:
        quiet = self._now() - self._last_news
        return judge(self._evidence, quiet=quiet, settle=self._settings.settle, stall=self._settings.stall)

    def _raise_defects(self) -> None:
        for task in self._tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def _listen(self) -> None:
        """Keep a stream open; a break is no end."""
        pause = _PAUSES[0]
        while True:
            try:
                async with self._client.stream(self._thread_id) as frames:
                    self._evidence.streaming = True
                    heard = self._heard
                    async for frame in frames:
                        self._reached()
                        self._take(frame)
                        pause = _PAUSES[0] if self._heard > heard else pause
            except EngineAwayError as error:
                log.debug("stream_broke", thread_id=self._thread_id, why=error.detail)
            finally:
                self._evidence.streaming = False
            self._ask.set()
            await asyncio.sleep(pause)
            pause = min(pause * 2, _PAUSES[1])

    def _take(self, frame: Frame) -> None:
        evidence = self._evidence
        match frame:
            case Said(text):
                text = text[: _MAX_TEXT - self._length]
                self._text.append(text)
                self._length += len(text)
                self._heard_news()
            case Update(files, note, mark):
                self._note = note or self._note
                if files is not None and files != evidence.files:
                    evidence.files, self._new_files = files, True
                    self._heard_news()
                elif mark != self._mark:
                    self._mark = mark
                    self._heard_news()
            case Failure() as told:
                evidence.told = told
                self._ask.set()
            case End():
                evidence.ended = True
                self._ask.set()

    async def _poll(self) -> None:
        """Ask for the state now and again: seldom while the stream lives, at once when it ended or broke."""
        while True:
            seconds = self._settings.poll * (_WHILE_STREAMING if self._evidence.streaming else 1.0)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._ask.wait()
            self._ask.clear()
            await self._poll_once()
            await asyncio.sleep(min(0.1, self._settings.poll))

    async def _poll_once(self) -> None:
        try:
            state = await self._asked()
        except (EngineAwayError, BreakerOpenError):
            self._lost()
            return
        except EngineRefusedError as error:
            log.warning("state_refused", thread_id=self._thread_id, why=error.detail)
            return
        self._reached()
        if self._evidence.take_state(state) and state is not None and state.status == "running":
            self._last_news = self._now()
        if self._verdict() is not None:
            self._news.set()

    async def _asked(self) -> ThreadState | None:
        """The state, None if the engine knows no such thread. An engine whose stream is gone is not asked in vain."""
        if not self._evidence.streaming and not await self._client.ready():
            raise EngineAwayError
        try:
            return await self._client.state(self._thread_id, tries=1)
        except UnknownThreadError:
            return None

    def _heard_news(self) -> None:
        self._evidence.hear_news()
        self._heard += 1
        self._last_news = self._now()
        self._news.set()

    def _reached(self) -> None:
        if not self._answers:
            self._answers = True
            self._last_news = self._now()
            self._news.set()

    def _lost(self) -> None:
        """An engine that does not answer is away, not stalled: its clock stands."""
        self._last_news = self._now()
        if self._answers:
            self._answers = False
            self._news.set()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
