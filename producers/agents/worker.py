"""The loop of an agent: as many assignments as it has slots, kept alive, each done once; and a good end."""

import asyncio
import contextlib
from uuid import UUID

import structlog
from nats.aio.msg import Msg

from events.base import JsonObject
from events.codec import decode
from events.errors import InvalidEventError
from events.streams import WORK
from events.work import WorkAssigned, WorkStopped
from producers.agents.errors import SupersededError
from producers.agents.line import Line, Lines
from producers.agents.registering import Registration
from producers.agents.run import BEAT, DRAINED, Handler, Run
from producers.agents.work import Task
from producers.origins import Origin, Origins
from producers.pull import Pull
from producers.sdk.errors import ProducerError, RefusedError

log = structlog.get_logger()

ACK, IN_PROGRESS = b"+ACK", b"+WPI"
_ALIVE_EVERY = 8.0
"""Seconds; WORK gives an assignment again after 30 s of silence."""
_AGAIN_AFTER = 1.0
_NOT_REGISTERED = 404
_PATIENCE = 2.0
"""Seconds in which the server has to say whether the queue is still that of an assignment which is to be settled."""


class Worker:
    """Works until told to drain. Raises SupersededError when another process has its name, or nobody."""

    def __init__(
        self,
        handler: Handler,
        registration: Registration,
        gateway_url: str,
        nats_url: str,
        *,
        slots: int,
        beat: float = BEAT,
    ) -> None:
        self._handler = handler
        self._slots = slots
        self._beat = beat
        self._runs: dict[UUID, Run] = {}
        self._messages: dict[UUID, tuple[Msg, Origin]] = {}
        self._working: set[asyncio.Task[None]] = set()
        self._draining = asyncio.Event()
        self._beats = 0
        self._pull: Pull | None = None
        self._origins: Origins | None = None
        self._lines = Lines(gateway_url, nats_url, registration, self._on_stop)

    async def run(self, *, grace: float) -> None:
        """Work; after `drain()` end what is in hand, for `grace` seconds at most, and deregister."""
        beside = [asyncio.create_task(part) for part in (self._pull_work(), self._live(), self._keep())]
        draining = asyncio.create_task(self._draining.wait())
        try:
            done, _ = await asyncio.wait({*beside, draining}, return_when=asyncio.FIRST_COMPLETED)
            for part in done - {draining}:
                part.result()
            await self._leave(grace)
        finally:
            for part in (*beside, draining, *self._working):
                part.cancel()
            await asyncio.gather(*beside, draining, *self._working, return_exceptions=True)
            await self._lines.close()

    def drain(self) -> None:
        """Take nothing new, hand back what has not begun, end what has."""
        self._draining.set()

    @property
    def in_flight(self) -> int:
        """How many runs are in hand."""
        return len(self._runs)

    async def _pull_work(self) -> None:
        queue = self._lines.registration.connection.queue
        while True:
            line = await self._lines.current()
            async with Pull(line.client, WORK.name, queue, window=self._slots - len(self._working)) as pull:
                self._pull, self._origins = pull, Origins(line.client, WORK.name, queue)
                cutting = asyncio.create_task(_lose_when_cut(line, pull))
                try:
                    await self._origins.begin(pull)
                    while messages := await pull.take():
                        origin = self._origins.of(pull, messages)
                        for message in messages:
                            await self._take(message, origin)
                finally:
                    self._origins.stop()
                    cutting.cancel()
            if not line.cut.is_set():
                await asyncio.sleep(_AGAIN_AFTER)  # the queue is being made, or the server is busy

    async def _take(self, message: Msg, origin: Origin) -> None:
        """Begin an assignment; one that is in hand already has come again over a new line."""
        try:
            data = decode(message.data, message.headers).data
        except InvalidEventError as error:
            log.warning("assignment_unreadable", detail=error.detail)
            data = None
        if not isinstance(data, WorkAssigned):
            await self._settle(message, origin, ACK, patience=_PATIENCE)
            await self._give_back()
            return
        if data.run_id in self._runs:
            self._messages[data.run_id] = message, origin
            await self._give_back()
            return
        run = self._runs[data.run_id] = Run(self._lines, Task.of(data), beat=self._beat)
        self._messages[data.run_id] = message, origin
        task = asyncio.create_task(self._work(data.run_id, run))
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    async def _work(self, run_id: UUID, run: Run) -> None:
        try:
            if self._draining.is_set():
                await run.decline()
            else:
                await run.do(self._handler)
        finally:
            del self._runs[run_id]
            await self._settle(*self._messages.pop(run_id), ACK, patience=_PATIENCE)
            await self._give_back()

    async def _settle(self, message: Msg, origin: Origin, word: bytes, *, patience: float = 0.0) -> None:
        """Say so to the queue, if it is the one that the assignment is of (producers/origins.py)."""
        if self._origins is not None and await self._origins.still(origin, patience=patience):
            await self._lines.settle(message, word)

    async def _give_back(self) -> None:
        if self._pull is not None:
            await self._pull.back(1)

    async def _on_stop(self, message: Msg) -> None:
        with contextlib.suppress(InvalidEventError):
            data = decode(message.data, message.headers).data
            if isinstance(data, WorkStopped) and (run := self._runs.get(data.run_id)) is not None:
                run.stop(data.reason)

    async def _keep(self) -> None:
        """Tell the queue that what is in hand is worked on."""
        while True:
            await asyncio.sleep(_ALIVE_EVERY)
            for message, origin in list(self._messages.values()):
                await self._settle(message, origin, IN_PROGRESS)

    async def _live(self) -> None:
        """Say that the agent lives, at once and then as often as it was told to."""
        while True:
            with contextlib.suppress(TimeoutError):
                await self._say_alive()
            await asyncio.sleep(min(self._beat, self._lines.registration.heartbeat_interval_seconds))

    async def _say_alive(self) -> None:
        busy = len(self._runs)
        said: JsonObject = {
            "status": "busy" if busy >= self._slots else "healthy",
            "in_flight": busy,
            "load": busy / self._slots,
        }
        try:
            await self._state("agent.heartbeat", said)
        except SupersededError:
            raise
        except ProducerError as error:
            if isinstance(error, RefusedError) and error.status == _NOT_REGISTERED:  # it was, or had no line
                raise SupersededError("this agent is not registered any more") from error
            log.warning("heartbeat_refused", error=str(error))

    async def _leave(self, grace: float) -> None:
        """Say that it drains, end what is in hand, and deregister: what is left in its queue goes to others."""
        with contextlib.suppress(ProducerError, TimeoutError):
            await self._state("agent.deregistered", {"drain": True})
        if self._working:
            await asyncio.wait(self._working, timeout=grace)
        for run in list(self._runs.values()):
            run.stop(DRAINED)
        if self._working:
            await asyncio.wait(self._working, timeout=_AGAIN_AFTER)
        with contextlib.suppress(ProducerError, TimeoutError):
            await self._state("agent.deregistered", {})

    async def _state(self, name: str, data: JsonObject) -> None:
        self._beats += 1
        token = self._lines.registration.auth_token[-8:]
        await self._lines.state(name, f"{token}.{name}.{self._beats}", data, within=10.0)


async def _lose_when_cut(line: Line, pull: Pull) -> None:
    await line.cut.wait()
    pull.lose()
