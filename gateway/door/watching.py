"""Rooms over NATS, for who has no HTTP: a request on `watch.<tenant>` is answered with the room's frames.

The request names a room and where to begin: `{"room": "task:ID", "after": "0"}`. Each answer is one or more frames,
one JSON object a line, as on the WebSocket. A watch lasts a minute, then says `again` with the place to go on from:
so neither side keeps anything for another that has gone.
"""

import asyncio
from dataclasses import dataclass

import orjson
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from pydantic import BaseModel, ConfigDict, ValidationError

from events.cursor import Cursor
from events.errors import GanglionError
from gateway.auth.bearer import READ
from gateway.auth.sender import Sender
from gateway.door.shares import Shares
from gateway.encoding import to_json
from gateway.errors import InvalidBodyError, UnauthorizedError, faults_of
from gateway.live.admission import Admission
from gateway.live.frames import Frame
from gateway.live.outlet import Closing, QueueOutlet, resume_point
from gateway.live.replay import Replayer
from gateway.live.speech import Saying, delta_fields
from gateway.live.subscription import Fields, Subscription
from producers.permissions import GATEWAY, WATCHES

log = structlog.get_logger()

LASTS = 60.0
_HEARTBEAT = 10.0
AT_ONCE = 4_000


class WatchRequest(BaseModel):
    """Which room, and after which cursor; without one, from now."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    room: str
    after: str | None = None


@dataclass(frozen=True, slots=True)
class _Watch:
    subscription: Subscription
    outlet: QueueOutlet
    encoding: "Lines"
    asked: str | None
    """The cursor that it was to begin after."""

    @property
    def told(self) -> str | None:
        """The place up to which everything was told: what comes when the watch is over is not."""
        return resume_point(self.outlet) if self.outlet.last is not None else self.asked


class Lines:
    """One JSON object a line; `over` once the last one was written."""

    def __init__(self) -> None:
        self.over = False

    def event(self, frame: Frame) -> bytes:
        """An event."""
        return b'{"type":"event",%s\n' % frame.tail

    def delta(self, saying: Saying, offset: int, text: str) -> bytes:
        """What an agent is saying."""
        return to_json({"type": "delta", **delta_fields(saying, offset, text)}) + b"\n"

    def control(self, kind: str, fields: Fields) -> bytes:
        """Any other frame."""
        self.over = self.over or kind in {"end", "error"}
        return to_json({"type": kind, **fields}) + b"\n"


class NatsWatch:
    """Serves watches; of several gateways one gets each."""

    def __init__(self, admission: Admission, replayer: Replayer) -> None:
        self._admission = admission
        self._replayer = replayer
        self._watching: dict[asyncio.Task[None], QueueOutlet] = {}
        self._shares = Shares()

    async def run(self, client: Client) -> None:
        """Serve until cancelled; who is watching then is told to come again."""

        async def asked(message: Msg) -> None:
            outlet = QueueOutlet()
            task = asyncio.create_task(self._serve(client, message, outlet))
            self._watching[task] = outlet
            task.add_done_callback(lambda done: self._watching.pop(done, None))

        subscription = await client.subscribe(WATCHES, queue=GATEWAY, cb=asked)
        try:
            await asyncio.Event().wait()
        finally:
            if client.is_connected:
                await subscription.unsubscribe()
            for outlet in self._watching.values():
                outlet.close(1012, "restart")
            if self._watching:
                await asyncio.wait(self._watching, timeout=1.0)

    async def _serve(self, client: Client, message: Msg, outlet: QueueOutlet) -> None:
        try:
            sender = _sender_of(message)
            with self._shares.taken(sender.tenant, of=AT_ONCE):
                await self._watch(client, message, outlet, sender)
        except GanglionError as error:
            await _say(client, message, _refusal(error))

    async def _watch(self, client: Client, message: Msg, outlet: QueueOutlet, sender: Sender) -> None:
        watch = await self._open(message, outlet, sender)
        ending = asyncio.get_running_loop().call_later(LASTS, outlet.close, 1012, "again")
        try:
            await _pump(client, message, watch)
        finally:
            ending.cancel()
            self._replayer.stop(watch.subscription)

    async def _open(self, message: Msg, outlet: QueueOutlet, sender: Sender) -> _Watch:
        """Raises a GanglionError if this sender may not watch this room."""
        try:
            asked = WatchRequest.model_validate_json(message.data)
        except ValidationError as error:
            raise InvalidBodyError(faults_of(error, message.data)) from error
        after = Cursor.parse(asked.after) if asked.after is not None else None
        found = await self._admission.room(sender.principal, asked.room)
        encoding = Lines()
        subscription = Subscription(found.room, outlet, encoding)
        self._replayer.start(subscription, after, ended=found.ended)
        return _Watch(subscription, outlet, encoding, asked.after)


def _sender_of(message: Msg) -> Sender:
    """Who may watch something of its tenant. Raises UnauthorizedError, MissingScopeError."""
    sender = Sender.from_headers(message.headers)
    if sender.kind != "user" or message.subject.split(".")[1:] != [sender.tenant]:
        raise UnauthorizedError
    sender.principal.must(READ)
    return sender


async def _pump(client: Client, message: Msg, watch: _Watch) -> None:
    while not (watch.encoding.over and watch.outlet.empty):
        try:
            async with asyncio.timeout(_HEARTBEAT):
                item = await watch.outlet.next()
        except TimeoutError:
            item = b'{"type":"ping"}\n'
        if isinstance(item, Closing):
            await _say(client, message, to_json({"type": "again", "after": watch.told}) + b"\n")
            return
        for part in _parts(item, client.max_payload // 2):
            await _say(client, message, part)


def _parts(lines: bytes, limit: int) -> list[bytes]:
    """Whole lines, together at most `limit` bytes where they are not longer by themselves."""
    parts: list[bytes] = []
    for line in lines.splitlines(keepends=True):
        if parts and len(parts[-1]) + len(line) <= limit:
            parts[-1] += line
        else:
            parts.append(line)
    return parts


async def _say(client: Client, message: Msg, body: bytes) -> None:
    try:
        await client.publish(message.reply, body)
    except NatsError as error:
        log.debug("watch_lost", error=type(error).__name__)


def _refusal(error: GanglionError) -> bytes:
    return (
        orjson.dumps({"type": "error", "code": error.code, "detail": error.detail, "retryable": error.retryable})
        + b"\n"
    )
