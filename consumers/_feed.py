"""Feeds one consumer from its durable: as many messages as there is room for, each kept alive, none forgotten."""

import asyncio
from collections.abc import Coroutine, Sequence

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from consumers._pause import Pause
from consumers._runtime import Flow, FlowHandler, Slots, Worker
from consumers._suspects import SUSPECT_FROM, Suspects, deliveries_of
from consumers._time_slices import TimeSlices
from producers.origins import Origin, Origins
from producers.publisher import Publisher
from producers.pull import Pull

log = structlog.get_logger()

_FLOW_WINDOW = 512
_FLOW_BATCH = 32
_SLOTS_BATCH = 16
_AGAIN_AFTER = 0.1
_FLOW_ALIVE = 10
"""So many times ack_wait quick work may take, waiting for its turn included; then it hangs, and somebody else tries."""


class Feed:
    """Feeds one consumer from its durable; `stop()` takes no more and lets `run` end when all in hand is settled.

    `slices` is shared by the consumers of a process: each portion of messages is begun in a slice of its own.
    """

    def __init__(
        self,
        client: Client,
        publisher: Publisher,
        consumer: Flow | Slots,
        *,
        pause: Pause | None = None,
        slices: TimeSlices | None = None,
    ) -> None:
        self._client = client
        self._consumer = consumer
        self._slices = slices or TimeSlices()
        self._at_once = _FLOW_BATCH if isinstance(consumer, Flow) else _SLOTS_BATCH
        self._durable = consumer.durable
        self._pause = pause or Pause(client, consumer.durable)
        self._origins = Origins(client, consumer.durable.stream, consumer.durable.name)
        self._worker = Worker(client, consumer.durable, publisher, self._pause, self._still_ours)
        self._window = self._durable.slots or _FLOW_WINDOW
        self._held = 0
        self._working: dict[int, tuple[Msg, float, Origin]] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._suspects = Suspects(self._run_suspect)
        self._stopped = asyncio.Event()
        self._pull: Pull | None = None
        self._narrow = False

    async def run(self) -> None:
        """Pull and process until stopped; start over whenever the pull is lost."""
        beside = [asyncio.create_task(self._beat()), asyncio.create_task(self._suspects.run())]
        try:
            while not self._stopped.is_set():
                if self._pause.due:
                    await self._until_stopped(self._pause.hold())
                async with self._new_pull() as self._pull:
                    await self._origins.begin(self._pull)
                    while await self._pull.some():
                        await self._slices.next()
                        await self._begin(self._pull, await self._pull.take(self._at_once))
                await self._until_stopped(asyncio.sleep(_AGAIN_AFTER))
            await self._put_back(await self._suspects.stop())
            await asyncio.gather(*self._running)
        finally:
            self._origins.stop()
            for task in (*beside, *self._running):
                task.cancel()

    def stop(self) -> None:
        """Take no more messages."""
        self._stopped.set()
        if self._pull is not None:
            self._pull.lose()

    async def _begin(self, pull: Pull, messages: list[Msg]) -> None:
        """Start on them, unless they waited for their turn while we were stopped: others need not wait for ack_wait."""
        origin = self._origins.of(pull, messages)
        if self._stopped.is_set():
            self._hold(messages, origin)
            await self._put_back(messages)
        else:
            self._start(messages, origin)

    async def _until_stopped(self, work: Coroutine[None, None, None]) -> None:
        stopped, working = asyncio.create_task(self._stopped.wait()), asyncio.create_task(work)
        await asyncio.wait((stopped, working), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        working.cancel()

    def _new_pull(self) -> Pull:
        """A pull with room for what is not in hand; work that ends later makes its room there."""
        self._narrow = self._pause.probing
        window = 1 if self._narrow else self._window
        return Pull(self._client, self._durable.stream, self._durable.name, window=window - self._held)

    def _start(self, messages: list[Msg], origin: Origin) -> None:
        match self._consumer:
            case Flow(handler=handler):
                self._start_flow(handler, messages, origin)
            case Slots(handler=handler):
                for message in messages:
                    self._spawn(self._worker.slot(handler, message), [message], origin)

    def _start_flow(self, handler: FlowHandler, messages: list[Msg], origin: Origin) -> None:
        suspects = [message for message in messages if deliveries_of(message) >= SUSPECT_FROM]
        if suspects:
            self._hold(suspects, origin)
            for message in suspects:
                self._suspects.add(message)
            messages = [message for message in messages if message not in suspects]
        if messages:
            batch = self._consumer.batch if isinstance(self._consumer, Flow) else None
            self._spawn(self._worker.flow(handler, messages, batch=batch), messages, origin)

    async def _run_suspect(self, message: Msg) -> None:
        if isinstance(self._consumer, Flow):
            await self._finish(self._worker.flow(self._consumer.handler, [message]), [message])

    def _spawn(self, work: Coroutine[None, None, None], messages: Sequence[Msg], origin: Origin) -> None:
        self._hold(messages, origin)
        task = asyncio.create_task(self._finish(work, messages))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def _hold(self, messages: Sequence[Msg], origin: Origin) -> None:
        """They are in hand from now on, and kept alive: slow work for as long as it takes."""
        patience = self._durable.ack_wait * _FLOW_ALIVE if isinstance(self._consumer, Flow) else float("inf")
        until = asyncio.get_running_loop().time() + patience
        self._held += len(messages)
        for message in messages:
            self._working[id(message)] = (message, until, origin)

    def _let_go(self, messages: Sequence[Msg]) -> None:
        self._held -= len(messages)
        for message in messages:
            del self._working[id(message)]

    async def _still_ours(self, message: Msg) -> bool:
        """Whether it may be settled: not when the durable it came from was made anew since (producers/origins.py)."""
        return await self._origins.still(self._working[id(message)][2], patience=self._durable.ack_wait)

    async def _still(self, origins: Sequence[Origin]) -> set[Origin]:
        """Those of which messages may be put back or kept alive, as far as the server says so at once."""
        return {origin for origin in set(origins) if await self._origins.still(origin)}

    async def _finish(self, work: Coroutine[None, None, None], messages: Sequence[Msg]) -> None:
        try:
            await work
        finally:
            self._let_go(messages)
            if self._pull is not None:
                await self._pull.back(len(messages))
                if self._pause.due or (self._narrow and not self._pause.probing):
                    self._pull.lose()

    async def _put_back(self, messages: list[Msg]) -> None:
        """What was not begun need not wait for ack_wait to be delivered to somebody else."""
        still = await self._still([self._working[id(message)][2] for message in messages])
        ours = [message for message in messages if self._working[id(message)][2] in still]
        self._let_go(messages)
        for message in ours:
            try:
                await message.nak(delay=self._durable.retry[0])
            except NatsError as error:
                log.debug("put_back_failed", consumer=self._durable.name, error=type(error).__name__)

    async def _beat(self) -> None:
        """Tell the server that work goes on, or waits for its turn, so that nobody else starts it too."""
        while True:
            await asyncio.sleep(self._durable.ack_wait / 3)
            now = asyncio.get_running_loop().time()
            working = list(self._working.values())
            still = await self._still([origin for _, _, origin in working])
            for message, until, origin in working:
                if message.is_acked or now > until or origin not in still:
                    continue
                try:
                    await message.in_progress()
                except Exception as error:  # noqa: BLE001  # uvloop raises a RuntimeError of its own; the next beat may go
                    log.debug("heartbeat_failed", consumer=self._durable.name, error=type(error).__name__)
