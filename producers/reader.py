"""The shared reader: every event of a stream in order, exactly once per place, or an explicit gap.

An ephemeral consumer without acks behind a standing pull request. Cut sockets lose messages silently on such a
consumer (stack.md H), so each sequence must be the last one plus one, else the consumer is made anew there.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import orjson
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

log = structlog.get_logger()

_HEARTBEAT = 1.0
_EXPIRES = 30.0
_RETRY = 0.25


@dataclass(frozen=True, slots=True)
class Delivery:
    """One stored message: its sequence, the stream's timestamp, subject, body and headers."""

    seq: int
    time: datetime
    subject: str
    body: bytes
    headers: dict[str, str] | None


@dataclass(frozen=True, slots=True)
class Hole:
    """Sequences that the stream no longer has: deleted or lost, never to be delivered."""

    first_seq: int
    last_seq: int


class StreamLostError(Exception):
    """The stream is gone, or ends before the place where reading should go on: a new epoch is needed."""


class Reader:
    """Reads `stream` from `start` on; `async with Reader(client, "BUS", start) as reader`.

    `batch()` gives what is waiting, at once (natural batching). At most `window` messages are in memory.
    Raises StreamLostError when the stream does not exist or is shorter than the place to read from.
    """

    def __init__(
        self,
        client: Client,
        stream: str,
        start: int,
        *,
        filter_subject: str | None = None,
        window: int = 1_024,
    ) -> None:
        self._client = client
        self._js = client.jetstream()
        self._stream = stream
        self._filter = filter_subject
        self._window = window
        self.next_seq = start
        self._received: deque[Delivery | Hole] = deque()
        self._arrived = asyncio.Event()
        self._requested = 0
        self._heard = 0.0
        self._inbox = ""
        self._subscription: Subscription | None = None
        self._consumer: str | None = None
        self._expected = start
        self._failure: StreamLostError | None = None
        self._watch: asyncio.Task[None] | None = None
        self._stale = False

    async def __aenter__(self) -> Self:
        await self._open()
        self._watch = asyncio.create_task(self._watchdog())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._watch is not None:
            self._watch.cancel()
        await self._close()

    async def batch(self, limit: int = 256) -> list[Delivery | Hole]:
        """The next 1 to `limit` messages or holes in order; waits until there is one."""
        while not self._received:
            if self._failure is not None:
                raise self._failure
            self._arrived.clear()
            await self._arrived.wait()
        taken = [self._received.popleft() for _ in range(min(limit, len(self._received)))]
        last = taken[-1]
        self.next_seq = (last.seq if isinstance(last, Delivery) else last.last_seq) + 1
        await self._ask()
        return taken

    def waiting(self) -> int:
        """How many messages are here and not taken yet."""
        return len(self._received)

    async def more(self, within: float) -> bool:
        """Wait up to `within` seconds for something to be waiting."""
        if self._received:
            return True
        self._arrived.clear()
        try:
            async with asyncio.timeout(within):
                await self._arrived.wait()
        except TimeoutError:
            return False
        return bool(self._received)

    async def _open(self) -> None:
        """Make a consumer at the next expected sequence and ask for messages."""
        try:
            info = await self._js.stream_info(self._stream)
            if self._expected > info.state.last_seq + 1:
                raise StreamLostError(f"{self._stream} ends at {info.state.last_seq} before {self._expected}")
            if self._expected < info.state.first_seq and not self._filter:
                self._note_hole(info.state.first_seq)
            consumer = await self._js.add_consumer(
                self._stream,
                ConsumerConfig(
                    ack_policy=AckPolicy.NONE,
                    deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                    opt_start_seq=max(1, self._expected),
                    filter_subject=self._filter,
                    inactive_threshold=30.0,
                    mem_storage=True,
                    max_waiting=16,
                ),
            )
        except NotFoundError as error:
            raise StreamLostError(f"{self._stream} does not exist") from error
        self._consumer = consumer.name
        self._inbox = self._client.new_inbox()
        self._subscription = await self._client.subscribe(
            self._inbox, cb=self._on_message, pending_msgs_limit=0, pending_bytes_limit=0
        )
        self._requested = 0
        self._stale = False
        self._heard = asyncio.get_running_loop().time()
        await self._ask()

    async def _close(self) -> None:
        subscription, self._subscription = self._subscription, None
        consumer, self._consumer = self._consumer, None
        if not self._client.is_connected:
            return
        if subscription is not None:
            await subscription.unsubscribe()
        if consumer is not None:
            try:
                await self._js.delete_consumer(self._stream, consumer)
            except NatsError:
                log.debug("reader_consumer_gone", consumer=consumer)

    async def _ask(self) -> None:
        """Keep the standing request: re-arm when less than half of the window is asked for."""
        room = self._window - self._requested - len(self._received)
        if self._consumer is None or room < self._window // 2 or not self._client.is_connected:
            return
        self._requested += room
        request = {
            "batch": room,
            "expires": int(_EXPIRES * 1e9),
            "idle_heartbeat": int(_HEARTBEAT * 1e9),
        }
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._consumer}"
        await self._client.publish(subject, orjson.dumps(request), reply=self._inbox)

    async def _on_message(self, message: Msg) -> None:
        self._heard = asyncio.get_running_loop().time()
        if not message.reply:
            await self._on_status(message)
            return
        if self._stale:
            return
        fields = message.reply.split(".")
        seq = int(fields[-4])
        self._requested -= 1
        if seq < self._expected:
            return
        if seq > self._expected and not self._filter:
            self._stale = True  # a message was lost on the way: the watchdog starts over at _expected
            return
        self._expected = seq + 1
        stamp = datetime.fromtimestamp(int(fields[-2]) / 1e9, UTC)
        self._received.append(Delivery(seq, stamp, message.subject, message.data, message.headers))
        self._arrived.set()

    async def _on_status(self, message: Msg) -> None:
        """Heartbeats (100) only show life; every other status ends a request and gives its room back."""
        headers = message.headers or {}
        if headers.get("Status") == "100":
            return
        pending = headers.get("Nats-Pending-Messages")
        if pending is None:
            self._stale = True
            return
        self._requested = max(0, self._requested - int(pending))
        await self._ask()

    async def _watchdog(self) -> None:
        """Start over where messages were lost or nothing, not even a heartbeat, was heard for three beats."""
        while True:
            await asyncio.sleep(_RETRY / 5 if self._stale else _RETRY)
            silent = asyncio.get_running_loop().time() - self._heard > 3 * _HEARTBEAT
            if not (self._stale or silent) or not self._client.is_connected:
                continue
            log.warning("reader_restarted", stream=self._stream, seq=self._expected, silent=silent)
            try:
                await self._restart()
            except StreamLostError as lost:
                self._failure = lost
                self._arrived.set()
                return
            except (NatsError, TimeoutError, OSError) as error:
                log.warning("reader_restart_failed", error=type(error).__name__)

    async def _restart(self) -> None:
        await self._close()
        if not self._filter:
            await self._look_for_hole()
        await self._open()

    async def _look_for_hole(self) -> None:
        """If the stream itself lacks the expected sequence, say so instead of asking for it for ever."""
        state = (await self._js.stream_info(self._stream)).state
        if self._expected > state.last_seq:
            return
        following = await self._js.get_msg(self._stream, seq=self._expected, subject=">", next=True)
        if following.seq is not None and following.seq > self._expected:
            self._note_hole(following.seq)

    def _note_hole(self, found_seq: int) -> None:
        self._received.append(Hole(self._expected, found_seq - 1))
        self._expected = found_seq
        self._arrived.set()
