"""The hub: one reader of the log per process, which hands each event to whoever subscribed to its room.

Each event is decoded once, and encoded once however many receive it. An event that is published twice is shown
once: the latest ids are remembered (read from the database when the hub starts, and from the stream what it has not).
One that was shown, lost with the log before it was kept, and published again is shown to those who had not seen it.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError

from events.announce import Missed
from events.cursor import Cursor
from events.errors import StoreUnavailableError
from events.streams import BUS, EPOCH_KEY
from events.subjects import MISSED
from gateway.lag import Lag
from gateway.live.endings import Endings, plan_subject
from gateway.live.frames import PLANNED, SETTLED, Envelope, make_frame, read_envelope
from gateway.live.recent import Recent
from gateway.live.speech import Saying, Speech
from gateway.live.subscription import Subscription
from gateway.metrics import Metrics
from producers.mark import Mark, is_there, mark_of
from producers.reader import Delivery, Hole, Reader, StreamLostError
from producers.said import Said
from storage.log import Identified, Identity

log = structlog.get_logger()

_REMEMBERED = 20_000
_REMEMBERED_FROM_BEFORE = 5_000
_WINDOW = 4_096
_RETRY = 0.25
_AT_ONCE = 1_000
"""Deliveries after which others may run: requests and replays wait for a large room no longer than that takes."""


class Hub:
    """Rooms and their subscriptions.

    A break in the log puts every subscription behind; catching up tells which of them missed something.
    """

    def __init__(
        self,
        latest_ids: Callable[[Cursor, int], Awaitable[list[Identified]]],
        lag: Lag,
        metrics: Metrics,
    ) -> None:
        self._latest_ids = latest_ids
        self._lag = lag
        self._metrics = metrics
        self._rooms: dict[str, set[Subscription]] = {}
        self._shown: OrderedDict[Identity, Cursor] = OrderedDict()
        self._lost: OrderedDict[Identity, tuple[Cursor, ...]] = OrderedDict()
        self._restart = asyncio.Event()
        self._opened = asyncio.Event()
        self._said = Said()
        self.endings = Endings()
        self.recent = Recent()
        self.speech = Speech()
        self.speech.on_words = self._say
        self.on_hole: Callable[[Cursor, Cursor], None] = lambda _first, _last: None
        self.position = Cursor("", 0)
        self._shown_last: Mark | None = None
        self.breaks = 0
        """How often reading began anew: whoever caught up before that has to look for a gap."""
        self._handed_out = 0

    @property
    def is_open(self) -> bool:
        """Whether events are being read."""
        return self._opened.is_set()

    async def opened(self, within: float) -> bool:
        """Whether the hub reads, or begins to within so many seconds."""
        try:
            async with asyncio.timeout(within):
                await self._opened.wait()
        except TimeoutError:
            return False
        return True

    def join(self, subscription: Subscription) -> None:
        """Deliver every event of the room from now on."""
        for key in subscription.room.keys:
            self._rooms.setdefault(key, set()).add(subscription)
        self._metrics.subscriptions.inc()

    def leave(self, subscription: Subscription) -> None:
        """Deliver nothing more."""
        left = False
        for key in subscription.room.keys:
            members = self._rooms.get(key)
            if members is None or subscription not in members:
                continue
            left = True
            members.discard(subscription)
            if not members:
                del self._rooms[key]
        if left:
            self._metrics.subscriptions.dec()

    def epoch_changed(self, epoch: str) -> None:
        """The keeper reads a newer epoch than the hub does, or is about to: start over."""
        if epoch > self.position.epoch:
            self._restart.set()

    async def run(self, client: Client) -> None:
        """Read until cancelled; after a break everybody has to catch up with the new beginning."""
        while True:
            self._restart.clear()  # before the epoch is asked for: what is announced from now on may be newer
            try:
                start = await self._open(client)
                async with Reader(client, BUS.name, start, window=_WINDOW) as reader:
                    self._opened.set()
                    self._said.clear()
                    self._everybody_catches_up()
                    await self._follow(reader)
            except StreamLostError as lost:
                if self._said.once(str(lost)):
                    log.warning("hub_stream_lost", detail=str(lost))
            except (NatsError, TimeoutError, OSError) as error:
                if self._said.once(type(error).__name__):
                    log.warning("hub_interrupted", error=type(error).__name__)
            self._opened.clear()
            await asyncio.sleep(_RETRY)

    async def _open(self, client: Client) -> int:
        """Find the stream's end and its epoch, and where to read from; a stream that has none yet is being made."""
        try:
            info = await client.jetstream(timeout=2.0).stream_info(BUS.name)
        except NotFoundError as error:
            raise StreamLostError("BUS does not exist") from error
        epoch = (info.config.metadata or {}).get(EPOCH_KEY)
        if not epoch:
            raise StreamLostError("BUS has no epoch yet")
        if epoch == self.position.epoch:
            await self._look_for_what_was_shown(client)
        self._lag.reset()
        self._begin(Cursor(epoch, info.state.last_seq))
        self._shown_last = await mark_of(client.jetstream(timeout=2.0), BUS.name, info.state.last_seq)
        return max(info.state.first_seq, await self._remember_latest() + 1)

    async def _look_for_what_was_shown(self, client: Client) -> None:
        """Raise StreamLostError if the log lost an end that we have shown, and tell the keeper: its places come again.

        It may not have read that far itself, and would let the epoch go on.
        """
        mark = self._shown_last
        if mark is None or await is_there(client.jetstream(timeout=2.0), BUS.name, mark):
            return
        missed = Missed(epoch=self.position.epoch, seq=mark.seq, stamp=mark.stamp)
        await client.publish(MISSED, missed.model_dump_json().encode())
        raise StreamLostError(f"{BUS.name} has lost what was shown at {mark.seq}")

    def _begin(self, at: Cursor) -> None:
        self.position = at
        self._shown_last = None
        self.breaks += 1
        self.recent.begin(at)
        self.endings.forget()

    async def _remember_latest(self) -> int:
        """Up to which sequence what lies before the hub's place is remembered: behind it nothing has been shown.

        What the keeper has not folded yet, or the database cannot say, is left to be read from the stream.
        """
        latest: list[Identified] = []
        first = Cursor(self.position.epoch, 0)
        try:
            latest = await self._latest_ids(self.position, _REMEMBERED_FROM_BEFORE)
            self._lose(first, await self._latest_ids(first, 1))
        except StoreUnavailableError:
            log.warning("hub_starts_without_latest_ids")
        for found in latest:
            self._remember(found.identity, found.place)
        folded = latest[-1].place if latest else Cursor("", 0)
        known = folded.seq if folded.epoch == self.position.epoch else 0
        return max(known, self.position.seq - _REMEMBERED)

    async def _follow(self, reader: Reader) -> None:
        restarted = asyncio.create_task(self._restart.wait())
        reading: asyncio.Task[list[Delivery | Hole]] | None = None
        try:
            while not self._restart.is_set():
                reading = asyncio.create_task(reader.batch())
                await asyncio.wait((reading, restarted), return_when=asyncio.FIRST_COMPLETED)
                if not reading.done():
                    return
                for item in await reading:
                    self._take(item)
                    if self._handed_out > _AT_ONCE:
                        self._handed_out = 0
                        await asyncio.sleep(0)
        finally:
            restarted.cancel()
            if reading is not None:
                reading.cancel()  # or it would take the end of the reader for a loss, and read on

    def _take(self, item: Delivery | Hole) -> None:
        if isinstance(item, Hole):
            self._skip(item)
            return
        envelope = read_envelope(item.body)
        place = Cursor(self.position.epoch, item.seq)
        is_new = envelope is not None and self._is_new(envelope.identity, place)
        if item.seq <= self.position.seq:
            return  # from before the hub's place: read to be remembered
        self.position = place
        self._shown_last = item.mark
        self._lag.seen(item.seq)
        if envelope is not None and is_new:
            self._show(envelope, item)
        else:
            self.recent.passed(self.position)

    def _skip(self, hole: Hole) -> None:
        """Begin anew: what is gone from the stream may be in the database, and may come again."""
        at = self.position
        if hole.last_seq <= at.seq:
            return
        self.on_hole(Cursor(at.epoch, max(hole.first_seq, at.seq + 1)), Cursor(at.epoch, hole.last_seq))
        self._restart.set()

    def was(self, identity: Identity) -> tuple[Cursor, ...]:
        """The places of an event in logs that are lost."""
        return self._lost.get(identity, ())

    def _lose(self, first: Cursor, kept: list[Identified]) -> None:
        """What was shown and is lost unkept may be published again, and is new: no history has it for who comes now."""
        end = kept[0].place if kept else Cursor("", 0)
        for identity in [one for one, place in self._shown.items() if end < place < first]:
            self._lost[identity] = (*self.was(identity), self._shown.pop(identity))
        while len(self._lost) > _REMEMBERED:
            self._lost.popitem(last=False)

    def _is_new(self, identity: Identity, place: Cursor) -> bool:
        if identity in self._shown:
            return False
        self._remember(identity, place)
        return True

    def _remember(self, identity: Identity, place: Cursor) -> None:
        self._shown[identity] = place
        if len(self._shown) > _REMEMBERED:
            self._shown.popitem(last=False)

    def _show(self, envelope: Envelope, item: Delivery) -> None:
        try:
            frame = make_frame(envelope, self.position, item.time, self.was(envelope.identity))
        except TypeError:
            log.warning("event_not_shown", seq=item.seq)
            self.recent.passed(self.position)
            return
        self.recent.add(frame)
        for key in frame.keys:
            members = self._rooms.get(key)
            if members is not None:
                for subscription in members:
                    try:
                        subscription.deliver(frame)
                    except Exception:
                        log.exception("subscription_failed")  # and no other with it
                        subscription.stop()
                self._handed_out += len(members)
                self._metrics.delivered.inc(len(members))
        if envelope.is_state and envelope.ids.task is not None:
            self.endings.note(envelope.ids.task, is_final=envelope.is_final)
        elif envelope.event == "run.finished":
            self._note_run(envelope)
        elif envelope.event in SETTLED:
            self.endings.came(str(envelope.attributes.get("subject")))
        elif envelope.event in PLANNED:
            self._note_plan(envelope)

    def _say(self, execution: str, saying: Saying) -> None:
        for key in saying.keys:
            for subscription in self._rooms.get(key, ()):
                try:
                    subscription.hear(execution, saying)
                except Exception:
                    log.exception("subscription_failed")  # as above
                    subscription.stop()

    def _note_run(self, envelope: Envelope) -> None:
        data = envelope.attributes["data"]
        if isinstance(data, dict):
            self.speech.finished(str(data.get("execution_id")), asyncio.get_running_loop().time())

    def _note_plan(self, envelope: Envelope) -> None:
        data = envelope.attributes["data"]
        if isinstance(data, dict):
            self.endings.came(plan_subject(data.get("plan_id")))

    def _everybody_catches_up(self) -> None:
        for subscription in {one for members in self._rooms.values() for one in members}:
            subscription.fall_behind()
