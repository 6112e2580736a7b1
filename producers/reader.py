"""The shared reader: every event of a stream in order, exactly once per place, or an explicit gap.

An ephemeral consumer without acks behind a standing pull. Cut sockets lose messages silently on such a consumer
(stack.md H), so each sequence must be the last one plus one, else the consumer is made anew there.
"""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import NamedTuple, Self

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from producers.cancellation import heed_cancellation
from producers.mark import Mark, is_there
from producers.pull import Pull
from producers.said import Said

log = structlog.get_logger()

_RETRY = 0.25
_ANSWERS_WITHIN = 3.0
"""Seconds: a question that a cut link swallowed is asked again after that."""


class Delivery(NamedTuple):
    """One stored message: its sequence, the stream's timestamp in ns, subject, body and headers."""

    seq: int
    stamp: int
    subject: str
    body: bytes
    headers: dict[str, str] | None

    @property
    def time(self) -> datetime:
        """The stream's timestamp, to the microsecond."""
        return datetime.fromtimestamp(self.stamp / 1e9, UTC)

    @property
    def mark(self) -> Mark:
        """What tells it from another message in its place."""
        return Mark(self.seq, self.stamp)


class Hole(NamedTuple):
    """Sequences that the stream no longer has: deleted or lost, never to be delivered."""

    first_seq: int
    last_seq: int


class StreamLostError(Exception):
    """The stream is gone, or no longer holds what was read from it last: a new epoch is needed."""


class Reader:
    """Reads `stream` from `start` on; `async with Reader(client, "BUS", start) as reader`.

    `batch()` gives what is waiting, at once (natural batching). At most `window` messages are in memory.
    Raises StreamLostError when the stream does not exist, is shorter than the place to read from, or holds another
    message than the one read last.
    """

    def __init__(self, client: Client, stream: str, start: int, *, window: int = 1_024) -> None:
        self._client = client
        self._js = client.jetstream(timeout=_ANSWERS_WITHIN)
        self._stream = stream
        self._window = window
        self._hole: Hole | None = None
        self._opened = AsyncExitStack()
        self._pull: Pull
        self._last: Mark | None = None
        self.next_seq = start

    async def __aenter__(self) -> Self:
        await self._open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._opened.aclose()

    async def batch(self, limit: int = 256) -> list[Delivery | Hole]:
        """The next 1 to `limit` messages or holes in order; waits until there is one."""
        while True:
            heed_cancellation()
            if self._hole is not None:
                hole, self._hole = self._hole, None
                return [hole]
            messages = await self._pull.take(limit)
            await self._pull.back(len(messages))
            if taken := self._contiguous(messages):
                return taken
            if self._pull.lost:
                await self._start_over()

    async def more(self, within: float) -> bool:
        """Whether something is waiting, at once or within so many seconds."""
        return self._hole is not None or await self._pull.wait(within)

    def waiting(self, subject_part: str) -> int:
        """How many messages with this in their subject are here and not yet taken."""
        return self._pull.waiting(subject_part)

    def _contiguous(self, messages: list[Msg]) -> list[Delivery | Hole]:
        """What follows on from the last one; a message lost on the way ends this pull."""
        taken: list[Delivery | Hole] = []
        last: Delivery | None = None
        for message in messages:
            fields = message.reply.rsplit(".", 4)  # $JS.ACK.….<stream seq>.<consumer seq>.<time>.<pending>
            seq = int(fields[1])
            if seq == self.next_seq:
                last = Delivery(seq, int(fields[3]), message.subject, message.data, message.headers)
                taken.append(last)
                self.next_seq += 1
            elif seq > self.next_seq:
                self._pull.lose()
                break
        if last is not None:
            self._last = last.mark
        return taken

    async def _open(self) -> None:
        """Make a consumer at the next sequence and pull from it."""
        try:
            state = (await self._js.stream_info(self._stream)).state
            if self.next_seq > state.last_seq + 1:
                raise StreamLostError(f"{self._stream} ends at {state.last_seq} before {self.next_seq}")
            if self._last is not None and not await is_there(self._js, self._stream, self._last):
                raise StreamLostError(f"{self._stream} holds another message at {self._last.seq}")
            if self.next_seq < state.first_seq:
                self._note_hole(state.first_seq)
            elif self.next_seq <= state.last_seq:
                await self._look_for_hole(state.last_seq)
            consumer = await self._js.add_consumer(
                self._stream,
                ConsumerConfig(
                    ack_policy=AckPolicy.NONE,
                    deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                    opt_start_seq=max(1, self.next_seq),
                    inactive_threshold=30.0,
                    mem_storage=True,
                ),
            )
        except NotFoundError as error:
            raise StreamLostError(f"{self._stream} does not exist") from error
        self._opened.push_async_callback(self._delete, consumer.name)
        pull = Pull(self._client, self._stream, consumer.name, window=self._window)
        self._pull = await self._opened.enter_async_context(pull)

    async def _delete(self, consumer: str) -> None:
        """Delete a consumer that is no longer read; the server would do it after a while."""
        if not self._client.is_connected:
            return
        try:
            await self._js.delete_consumer(self._stream, consumer)
        except (NatsError, TimeoutError):
            log.debug("reader_consumer_gone", consumer=consumer)

    async def _start_over(self) -> None:
        """Read on at the next sequence with a new consumer, as soon as the server lets us."""
        log.warning("reader_restarted", stream=self._stream, seq=self.next_seq)
        await self._opened.aclose()
        said = Said()
        while True:
            heed_cancellation()
            try:
                return await self._open()
            except (NatsError, TimeoutError, OSError) as error:
                if said.once(type(error).__name__):
                    log.warning("reader_restart_failed", stream=self._stream, error=type(error).__name__)
                await asyncio.sleep(_RETRY)

    async def _look_for_hole(self, last_seq: int) -> None:
        """If the stream itself lacks the next sequence, say so instead of asking for it for ever."""
        try:
            following = await self._js.get_msg(self._stream, seq=self.next_seq, subject=">", next=True)
        except NotFoundError:  # nothing is left from here to the end that the stream had a moment ago
            self._note_hole(last_seq + 1)
            return
        if following.seq is not None and following.seq > self.next_seq:
            self._note_hole(following.seq)

    def _note_hole(self, found_seq: int) -> None:
        first = self.next_seq if self._hole is None else self._hole.first_seq
        self._hole = Hole(first, found_seq - 1)
        self.next_seq = found_seq
