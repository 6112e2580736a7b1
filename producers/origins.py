"""Whether a message in hand is still of the durable that is there, or of one that was made anew since.

An acknowledgement names a stream, a consumer and numbers, and nothing else. When a lost log was made anew, those of an
old message are those of a new one, which would be settled without anybody having worked on it.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.errors import NotFoundError

from producers.pull import Pull

log = structlog.get_logger()

_ANSWER_WITHIN = 2.0
_ASK_AGAIN_AFTER = 0.2
_GOOD_FOR = 0.1
"""Seconds that an answer is taken for true over the same connection: work that ends together asks once."""


@dataclass(eq=False, slots=True)
class Origin:
    """The pull that messages came by, and when the durable was made that it reads; None while nobody knows."""

    pull: Pull
    made: datetime | None = None


class Origins:
    """Tells of one durable which messages in hand are still its own; `stop()` it in the end.

    As long as the pull goes on, that is a comparison: the server tells an open request that its durable was deleted.
    Where it may have told nobody (the pull was lost, the connection was another, all was silent), it is asked.
    """

    def __init__(self, client: Client, stream: str, consumer: str) -> None:
        self._client = client
        self._stream = stream
        self._consumer = consumer
        self._now: Origin | None = None
        self._counted = 0
        self._learning: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._answer: tuple[object, datetime | None] = (None, None)
        self._asked_at = 0.0

    async def begin(self, pull: Pull) -> None:
        """Messages come by this pull from now on, which is open; waits a moment until its durable is known."""
        self._begin(pull)
        if self._learning is not None:
            await asyncio.wait({self._learning}, timeout=_ANSWER_WITHIN)

    def _begin(self, pull: Pull) -> Origin:
        self.stop()
        self._now = Origin(pull)
        self._counted = 0
        self._learning = asyncio.create_task(self._learn(self._now))
        return self._now

    def stop(self) -> None:
        """Ask no more for what is not known yet."""
        if self._learning is not None:
            self._learning.cancel()

    def of(self, pull: Pull, messages: Sequence[Msg]) -> Origin:
        """Where these are from, which the pull has just brought: a durable that counts anew is another one."""
        now = self._now
        if now is None or _number_of(messages[0]) <= self._counted:
            now = self._begin(pull)
        self._counted = _number_of(messages[-1])
        return now

    async def still(self, origin: Origin, *, patience: float = 0.0) -> bool:
        """Whether what came from there may be settled; not if the server says nothing within `patience` seconds."""
        now = self._now
        if now is not None and now.pull.current and (origin is now or _same(origin, now)):
            return True
        until = asyncio.get_running_loop().time() + patience
        while origin.made is not None:
            try:
                return origin.made == await self._made_now()
            except Exception as error:  # noqa: BLE001  # uvloop raises a RuntimeError of its own; what is not known is left
                log.debug("durable_unknown", consumer=self._consumer, error=type(error).__name__)
            if asyncio.get_running_loop().time() >= until:
                if patience:
                    origin.made = None  # who came by the same pull need not wait as long once more
                break
            await asyncio.sleep(_ASK_AGAIN_AFTER)
        return False

    async def _learn(self, origin: Origin) -> None:
        """Asked behind the pull's request: who makes the durable anew before the answer ends the pull before it too."""
        while not origin.pull.broken:
            with contextlib.suppress(Exception):
                made = await self._ask()
                origin.made = None if origin.pull.broken else made
            if origin.made is not None:
                return
            await asyncio.sleep(_ASK_AGAIN_AFTER)

    async def _made_now(self) -> datetime | None:
        """When the durable was made that is there now, as of a moment ago; None if there is none."""
        if not self._knows:
            async with self._turn:
                if not self._knows:
                    await self._look()
        return self._answer[1]

    async def _look(self) -> None:
        seen, at, now = self._seen, asyncio.get_running_loop().time(), self._now
        self._answer, self._asked_at = (seen, await self._ask()), at
        if now is not None and now.made is not None and now.made != self._answer[1]:
            now.pull.lose()  # it may have asked the new one already, and must not vouch for messages of the old one

    @property
    def _seen(self) -> object:
        """What an answer holds for: once something else is seen, another durable may be there."""
        return self._now, self._now is not None and self._now.pull.broken, self._client.stats["reconnects"]

    @property
    def _knows(self) -> bool:
        return self._answer[0] == self._seen and asyncio.get_running_loop().time() - self._asked_at < _GOOD_FOR

    async def _ask(self) -> datetime | None:
        js = self._client.jetstream(timeout=_ANSWER_WITHIN)
        try:
            info = await js.consumer_info(self._stream, self._consumer)
        except NotFoundError:
            return None
        made: datetime = info.created
        return made


def _same(one: Origin, other: Origin) -> bool:
    return one.made is not None and one.made == other.made


def _number_of(message: Msg) -> int:
    """The how-manieth message it is that its durable has given out."""
    return int(message.reply.rsplit(".", 3)[1])
