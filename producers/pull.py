"""A standing pull: one request on a JetStream consumer is always open, re-armed as messages are dealt with.

Three times the rate of a fetch loop and no round trip before a message (perf.md 8.2). Readers, flow and slots
consumers all read through this.
"""

import asyncio
import contextlib
from collections import deque
from typing import Self

import orjson
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from producers.client import listen

log = structlog.get_logger()

_HEARTBEAT = 1.0
_EXPIRES = 30.0
_CHECK = 0.1
_LATELY = 2 * _HEARTBEAT
_BYTES = 16 * 1024 * 1024
"""Of what is asked for at a time, and of what waits here: the server hangs up on who has 64 MiB before it."""
_BYTES_AT_ONCE = 8 * 1024 * 1024
"""Of what is taken at a time, if it is more than one message."""


class Pull:
    """Takes messages of one consumer, never more than `window` that were not given `back`; `async with` it.

    More is asked for whenever there is room for half of the window, and for the least room once nothing is asked for
    any more: a few that take long leave no place empty. Nothing is acknowledged here. Once `lost` (the consumer or the
    connection went away) it gives what it has and then nothing: make another.
    """

    def __init__(self, client: Client, stream: str, consumer: str, *, window: int) -> None:
        self._client = client
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._consumer = consumer
        self._window = window
        self._rearm = max(1, window // 2)
        self._inbox = client.new_inbox()
        self._subscription: Subscription | None = None
        self._watch: asyncio.Task[None] | None = None
        self._asking: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._received: deque[Msg] = deque()
        self._bytes = 0
        self._bell = asyncio.Event()
        self._requested = 0
        self._out = 0
        self._heard = 0.0
        self._reconnects = 0
        self._ended = False
        self.lost = False

    async def __aenter__(self) -> Self:
        self._reconnects = self._client.stats["reconnects"]
        self._subscription = await listen(self._client, self._inbox, self._on_message)
        self._heard = self._loop.time()
        await self._ask()
        self._watch = asyncio.create_task(self._watchdog())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.lose()
        if self._watch is not None:
            self._watch.cancel()
        if self._subscription is not None and self._client.is_connected:
            await self._subscription.unsubscribe()

    @property
    def broken(self) -> bool:
        """Whether it was told of an end, or the connection is another: the consumer may be another one too."""
        is_same = self._client.is_connected and self._client.stats["reconnects"] == self._reconnects
        return self._ended or not is_same

    @property
    def current(self) -> bool:
        """Whether it would have been told by now of the end of the consumer: who asks for nothing is told nothing."""
        listens = self._requested > 0 and self._loop.time() - self._heard < _LATELY
        return listens and not self.lost and not self.broken

    async def some(self) -> bool:
        """Wait until something can be taken; False once the pull is lost and empty."""
        while not self._received and not self.lost:
            self._bell.clear()
            await self._bell.wait()
        return bool(self._received)

    async def take(self, limit: int = 256) -> list[Msg]:
        """The next 1 to `limit` messages, whatever is waiting, at most 8 MiB of them if they are several; none once
        the pull is lost and empty.
        """
        await self.some()
        received, taken, size = self._received, list[Msg](), 0
        while received and len(taken) < limit:
            size += len(received[0].data)
            if taken and size > _BYTES_AT_ONCE:
                break
            taken.append(received.popleft())
            self._bytes -= len(taken[-1].data)
        return taken

    async def wait(self, within: float) -> bool:
        """Whether something is waiting, at once or within so many seconds."""
        if not self._received and not self.lost:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within):
                    await self.some()
        return bool(self._received)

    def waiting(self, subject_part: str) -> int:
        """How many messages with this in their subject wait to be taken."""
        return sum(subject_part in message.subject for message in self._received)

    async def back(self, count: int) -> None:
        """`count` messages are dealt with: as many more may come."""
        self._out -= count
        await self._ask()

    def lose(self) -> None:
        """Take no more: what is waiting can still be taken."""
        self.lost = True
        self._bell.set()

    async def _ask(self) -> None:
        room = self._window - self._requested - self._out
        if room < (self._rearm if self._requested else 1) or self.lost or not self._client.is_connected:
            return
        if self._bytes > _BYTES:
            return
        self._requested += room
        request = {
            "batch": room,
            "max_bytes": _BYTES,
            "expires": int(_EXPIRES * 1e9),
            "idle_heartbeat": int(_HEARTBEAT * 1e9),
        }
        await self._client.publish(self._subject, orjson.dumps(request), reply=self._inbox)

    def _on_message(self, message: Msg) -> None:
        self._heard = self._loop.time()
        if message.reply:
            self._requested -= 1
            self._out += 1
            self._received.append(message)
            self._bytes += len(message.data)
            self._bell.set()
            if not self._requested:
                self._ask_soon()
            return
        headers = message.headers or {}
        if headers.get("Status") == "100":
            return
        pending = headers.get("Nats-Pending-Messages")
        if pending is None:
            log.info("pull_ended", consumer=self._consumer, status=headers.get("Status"))
            self._ended = True
            self.lose()
            return
        self._requested = max(0, self._requested - int(pending))
        self._ask_soon()

    def _ask_soon(self) -> None:
        self._asking = self._loop.create_task(self._ask_or_not())

    async def _ask_or_not(self) -> None:
        """Whoever takes is told by silence, as of any other request that is lost."""
        with contextlib.suppress(NatsError):
            await self._ask()

    async def _watchdog(self) -> None:
        """Three silent beats, or a reconnect: the consumer or the open request may not have survived."""
        while not self.lost:
            await asyncio.sleep(_CHECK)
            silent = self._loop.time() - self._heard > 3 * _HEARTBEAT
            if (silent or self._client.stats["reconnects"] != self._reconnects) and self._client.is_connected:
                self.lose()
