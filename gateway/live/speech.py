"""What agents are saying: the pieces of the token stream, put together, so that who comes late hears it from the start.

The bus keeps pieces for ten minutes (stream TOK), this process as long as the run goes on. They are a preview: the
whole is in `run.finished`. A piece that is missing shows: `offset` jumps, and what was said before it is forgotten.
"""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import orjson
import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError

from events.base import TYPE_PREFIX
from events.streams import TOK
from gateway.live.rooms import Ids, belongings
from producers.reader import Delivery, Reader, StreamLostError

log = structlog.get_logger()

MAX_CHARACTERS = 16 * 1024 * 1024
"""Of all that is being said at a time; who has said nothing for longest is forgotten first."""

MAX_PIECE = 64 * 1024
"""Characters in one frame: client libraries refuse messages of more than a mebibyte."""

_MAX_SAYINGS = 20_000
_FROM_BEFORE = 100_000
_LINGER = 30.0
_RETRY = 0.5
_TYPE = f"{TYPE_PREFIX}.run.delta.v1"


class Saying:
    """What one execution has said so far, from `start` on without a hole; places count characters (code points)."""

    __slots__ = ("_parts", "facts", "keys", "run_id", "said_at", "size", "start", "task_id")

    def __init__(self, facts: dict[str, object], keys: tuple[str, ...], said_at: float) -> None:
        self.facts = facts
        self.run_id = str(facts["run_id"])
        self.task_id = str(facts["task_id"])
        self.keys = keys
        self.said_at = said_at
        self.start = 0
        self.size = 0
        self._parts: list[str] = []

    @property
    def end(self) -> int:
        """How many characters were said."""
        return self.start + self.size

    def add(self, offset: int, text: str) -> bool:
        """Take a piece; False if it brings nothing. One that does not follow begins anew at its own place."""
        if offset + len(text) <= self.end:
            return False
        if offset > self.end:
            self.start, self.size = offset, 0
            self._parts.clear()
        elif offset < self.end:
            text = text[self.end - offset :]
        self._parts.append(text)
        self.size += len(text)
        return True

    def since(self, place: int) -> tuple[int, str]:
        """At most 64 K characters from a place on, and where they are: at `start` if what lies before is gone."""
        place = max(place, self.start)
        if self._parts and place == self.end - len(self._parts[-1]):
            return place, self._parts[-1][:MAX_PIECE]
        whole = "".join(self._parts)
        self._parts = [whole]
        return place, whole[place - self.start :][:MAX_PIECE]


def delta_fields(saying: Saying, offset: int, text: str) -> dict[str, object]:
    """The members of a `run.delta` frame. It has no cursor: a reader resumes after the last event."""
    return {"event": "run.delta", "subject": saying.run_id, "data": {**saying.facts, "offset": offset, "text": text}}


@dataclass(frozen=True, slots=True)
class _Ended:
    execution: str
    at: float


class Speech:
    """Everything that is being said, for as long as the bus would keep it; `on_words` is called for each saying that
    has grown. `clock` is monotonic, in seconds.
    """

    def __init__(self, max_characters: int = MAX_CHARACTERS, clock: Callable[[], float] = time.monotonic) -> None:
        self._max = max_characters
        self._clock = clock
        self._sayings: OrderedDict[str, Saying] = OrderedDict()
        self._rooms: dict[str, dict[str, Saying]] = {}
        self._ended: deque[_Ended] = deque()
        self._characters = 0
        self.on_words: Callable[[str, Saying], None] = lambda _, __: None

    def in_rooms(self, keys: Iterable[str]) -> list[tuple[str, Saying]]:
        """The executions that are heard in these rooms, with what they have said."""
        self._forget_silent()
        return [item for key in keys for item in self._rooms.get(key, {}).items()]

    def finished(self, execution: str, now: float) -> None:
        """The execution has ended: who comes late reads its result, so it is kept only a little longer."""
        if execution in self._sayings:
            self._ended.append(_Ended(execution, now))
        while self._ended and now - self._ended[0].at > _LINGER:
            self._forget(self._ended.popleft().execution)

    def take(self, body: bytes, *, kept: bool = False) -> None:
        """Take one `run.delta`; passed over is what is none, and what was `kept` of a saying without its beginning."""
        try:
            attributes = orjson.loads(body)
            if attributes["type"] != _TYPE:
                return
            data = attributes["data"]
            execution, offset, text = str(data["execution_id"]), data["offset"], data["text"]
            if kept and offset > 0 and execution not in self._sayings:
                return
            saying = self._sayings.get(execution) or self._begin(execution, attributes)
            before = saying.size
            grown = saying.add(offset, text)
        except (ValueError, KeyError, TypeError):
            log.warning("delta_not_understood")
            return
        if grown:
            self._characters += saying.size - before
            saying.said_at = self._clock()
            self._sayings.move_to_end(execution)
            self._forget_silent()
            self.on_words(execution, saying)
            while (self._characters > self._max or len(self._sayings) > _MAX_SAYINGS) and len(self._sayings) > 1:
                self._forget(next(iter(self._sayings)))

    async def run(self, client: Client) -> None:
        """Read the token stream until cancelled, from what is kept of it on."""
        start: int | None = None
        kept = 0
        while True:
            try:
                state = (await client.jetstream(timeout=2.0).stream_info(TOK.name)).state
                if start is None or start > state.last_seq + 1:
                    start, kept = max(1, state.first_seq, state.last_seq - _FROM_BEFORE), state.last_seq
                async with Reader(client, TOK.name, start, window=1_024) as reader:
                    while True:
                        for item in await reader.batch():
                            if isinstance(item, Delivery):
                                self.take(item.body, kept=item.seq <= kept)
                        start = reader.next_seq
                        await asyncio.sleep(0)
            except (StreamLostError, NatsError, TimeoutError, OSError) as error:
                log.info("speech_interrupted", error=type(error).__name__)
            await asyncio.sleep(_RETRY)

    def _begin(self, execution: str, attributes: dict[str, object]) -> Saying:
        data = attributes["data"]
        assert isinstance(data, dict)  # noqa: S101 - it was subscripted just now
        facts = {name: data[name] for name in ("run_id", "task_id", "attempt", "execution_id", "agent_id")}
        session = attributes.get("sessionid")
        ids = Ids(str(data["task_id"]), session if isinstance(session, str) else None)
        keys = tuple(belongings(str(attributes["tenantid"]), str(attributes["ownerid"]), ids))
        saying = self._sayings[execution] = Saying(facts, keys, self._clock())
        for key in keys:
            self._rooms.setdefault(key, {})[execution] = saying
        return saying

    def _forget_silent(self) -> None:
        """Who has said nothing for longer than the bus keeps words; the first has been silent for longest."""
        oldest = self._clock() - TOK.max_age
        while self._sayings:
            execution, saying = next(iter(self._sayings.items()))
            if saying.said_at >= oldest:
                return
            self._forget(execution)

    def _forget(self, execution: str) -> None:
        saying = self._sayings.pop(execution, None)
        if saying is None:
            return
        self._characters -= saying.size
        for key in saying.keys:
            room = self._rooms.get(key, {})
            room.pop(execution, None)
            if not room:
                self._rooms.pop(key, None)
