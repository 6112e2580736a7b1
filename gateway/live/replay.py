"""Catching up: from where a subscription stands to where the hub is, without a seam (DESIGN 6).

What is recent comes from memory, what is older from `event_log`; both are read in small pages and few at a time, so
that any number of late clients cannot slow the live ones. A cursor that is beyond the log, or of another epoch, or
before a hole, or before what was archived, gets `gap` and `snapshot` instead of history.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from uuid import UUID

import structlog

from events.cursor import Cursor
from events.errors import BusUnavailableError, GanglionError, OverloadedError, TransientError
from events.task import FINAL, STATE_EVENTS
from gateway.commits import Commits
from gateway.live.frames import Frame, make_frame, read_envelope
from gateway.live.hub import Hub
from gateway.live.rooms import Room, types_of
from gateway.live.snapshots import Snapshots
from gateway.live.subscription import Subscription
from gateway.tasks.views import is_shown
from storage.log import Whose, entries, has_archived, has_gap, last_of
from storage.reading import Database

log = structlog.get_logger()

BEGINNING = Cursor("", 0)

_ENDS = {payload.event_type: status in FINAL for status, payload in STATE_EVENTS.items()}

_SLICE = 64
_PORTION = 48 * 1024
_PAGE = 128
_WAIT = 5.0
_RETRY = 0.5
_SOONER = 1.0
_READ_AT_ONCE = 4
_WRITE_AT_ONCE = 2


class Replayer:
    """Starts subscriptions and sees to those that are behind. At most 4 read the database, 2 write at once."""

    def __init__(self, engine: Database, hub: Hub, commits: Commits, snapshots: Snapshots) -> None:
        self._engine = engine
        self._hub = hub
        self._commits = commits
        self._snapshots = snapshots
        self._reading = asyncio.Semaphore(_READ_AT_ONCE)
        self._writing = asyncio.Semaphore(_WRITE_AT_ONCE)
        self._tasks: dict[Subscription, asyncio.Task[None]] = {}
        self._guests: set[Subscription] = set()

    @property
    def guests(self) -> frozenset[Subscription]:
        """Those who read a room that another shared with them."""
        return frozenset(self._guests)

    def start(self, subscription: Subscription, after: Cursor | None, *, ended: bool = False) -> None:
        """Begin after a cursor, or now; `ended` if the room's task is known to have ended."""
        subscription.task_ended = ended
        subscription.on_behind = self._recover
        if subscription.room.guest is not None:
            self._guests.add(subscription)
        self._run(subscription, partial(self._begin, subscription, after))

    def stop(self, subscription: Subscription) -> None:
        """End the subscription."""
        task = self._tasks.pop(subscription, None)
        if task is not None:
            task.cancel()
        self._end(subscription)

    def refuse(self, subscription: Subscription, error: GanglionError) -> None:
        """End the subscription and say why: it may be read no longer."""
        if subscription.state == "over":
            return
        subscription.say("error", {"code": error.code, "detail": error.detail, "retryable": error.retryable})
        self.stop(subscription)

    def _end(self, subscription: Subscription) -> None:
        subscription.stop()
        self._guests.discard(subscription)
        self._hub.leave(subscription)

    def _recover(self, subscription: Subscription) -> None:
        if subscription not in self._tasks:
            self._run(subscription, partial(self._again, subscription))

    def _run(self, subscription: Subscription, work: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.create_task(self._guard(subscription, work))
        self._tasks[subscription] = task
        task.add_done_callback(lambda done: self._forget(subscription, done))

    def _forget(self, subscription: Subscription, done: asyncio.Task[None]) -> None:
        if self._tasks.get(subscription) is done:
            del self._tasks[subscription]
            if subscription.state == "behind":  # it fell behind again as the task ended
                self._recover(subscription)

    async def _guard(self, subscription: Subscription, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except GanglionError as error:
            self._fail(subscription, error)
        except Exception:
            log.exception("subscription_failed")
            self._fail(subscription, GanglionError("The subscription failed on our side."))

    def _fail(self, subscription: Subscription, error: GanglionError) -> None:
        subscription.say("error", {"code": error.code, "detail": error.detail, "retryable": error.retryable})
        self._end(subscription)

    async def _begin(self, subscription: Subscription, after: Cursor | None) -> None:
        if not await self._hub.opened(_WAIT):
            raise BusUnavailableError
        self._hub.join(subscription)
        if subscription.task_ended:
            subscription.task_ended = await self._end_is_past(subscription.room)
        breaks = self._hub.breaks
        start = self._hub.position if after is None else after
        lost = after is not None and (await self._is_lost(after) or await self._is_archived(subscription.room, after))
        subscription.begin(start)
        shown = {"from": _shown(start), "recovered": after is not None and not lost}
        subscription.say("subscribed", shown, cursor=start)
        if lost:
            await self._snapshot(subscription)
        await self._catch_up(subscription, breaks, whole=after == BEGINNING and not lost)

    async def _again(self, subscription: Subscription) -> None:
        """Until it succeeds: the subscription was promised every event or a gap."""
        while subscription.state == "behind":
            try:
                await self._catch_up(subscription, -1)
            except TransientError as error:
                log.debug("catching_up_waits", code=error.code)
                await asyncio.sleep(_RETRY)

    async def _catch_up(self, subscription: Subscription, breaks: int, *, whole: bool = False) -> None:
        """Go on from `sent` until live; `breaks` is when a gap was last looked for.

        `whole`: all that is kept was asked for, over every epoch and hole up to what is in memory.
        """
        while subscription.state == "behind":
            await subscription.room_to_write()
            if self._hub.breaks != breaks:
                breaks = self._hub.breaks
                if not whole and await self._is_lost(subscription.sent):
                    await self._snapshot(subscription)
            elif self._hub.recent.holds(subscription.sent):
                whole = False  # from here on it has seen what is not kept yet, and may be lost
                await self._write_recent(subscription)
            elif self._is_ahead(subscription.sent):
                await asyncio.sleep(_RETRY / 10)
            else:
                await self._write_history(subscription)

    async def _write_recent(self, subscription: Subscription) -> None:
        """One slice from memory; live when that was the last.

        Memory may have begun anew, or let the oldest go, while this waited for its turn.
        """
        async with self._writing:
            if not self._hub.recent.holds(subscription.sent):
                return
            page = self._hub.recent.page(subscription.room, subscription.sent, _SLICE)
            if not _write(subscription, page.frames):
                return
            subscription.skipped(page.end)
            if page.end == self._hub.position and subscription.state == "behind":
                self._go_live(subscription)
            await asyncio.sleep(0)

    def _go_live(self, subscription: Subscription) -> None:
        room = subscription.room
        if room.kind == "task" and room.id is not None and self._hub.endings.is_past(room.id):
            subscription.task_ended = True
        subscription.go_live(self._hub.speech.in_rooms(room.keys))

    async def _write_history(self, subscription: Subscription) -> None:
        """One page from the log, up to where memory begins."""
        until = self._hub.recent.start
        if not await self._commits.reached(until, within=_WAIT):
            raise OverloadedError
        room = subscription.room
        async with self._reading:
            page = await entries(self._engine, whose(room), subscription.sent, until, _PAGE)
        if await self._is_archived(room, subscription.sent):  # taken away meanwhile
            await self._snapshot(subscription)
            return
        async with self._writing:
            frames = (
                make_frame(envelope, Cursor(entry.epoch, entry.seq), entry.time, self._hub.was(envelope.identity))
                for entry in page
                if is_shown(entry) and (envelope := read_envelope(entry.body)) is not None
            )
            if _write(subscription, [frame for frame in frames if room.shows(frame.keys)]):
                last = page[-1] if len(page) == _PAGE else None
                subscription.skipped(Cursor(last.epoch, last.seq) if last is not None else until)
            await asyncio.sleep(0)

    async def _is_lost(self, after: Cursor) -> bool:
        """Whether something between this place and the hub's may never have been kept."""
        recent = self._hub.recent
        if after == BEGINNING or recent.holds(after):
            return False
        until = recent.start
        if after.epoch != until.epoch or not await self._arrives(after):
            return True
        if not await self._commits.reached(until, within=_WAIT):
            raise OverloadedError
        async with self._reading:
            return await has_gap(self._engine, after, until)

    async def _is_archived(self, room: Room, after: Cursor) -> bool:
        """Whether a part of the room's history behind this place is in an archive."""
        if self._hub.recent.holds(after):
            return False
        async with self._reading:
            return await has_archived(self._engine, whose(room), after)

    async def _arrives(self, place: Cursor) -> bool:
        """Whether the hub gets to a place of its epoch: another gateway may have been there a moment sooner."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while self._is_ahead(place):
            if loop.time() - began > (_WAIT if self._commits.at >= place else _SOONER):
                return False
            await asyncio.sleep(_RETRY / 10)
        return True

    def _is_ahead(self, place: Cursor) -> bool:
        position = self._hub.position
        return place.epoch == position.epoch and place > position

    async def _end_is_past(self, room: Room) -> bool:
        """Whether a task that has ended did so where the hub has been: what is committed may not be published yet."""
        if room.id is None or self._hub.endings.is_past(room.id):
            return True
        async with self._reading:
            last = await last_of(self._engine, UUID(room.id), _ENDS)
        if last is None:  # it is known to have ended, and that it did was days ago
            return await self._is_archived(room, BEGINNING)
        return _ENDS[last[0]] and last[1] <= self._hub.position

    async def _snapshot(self, subscription: Subscription) -> None:
        """Say what is there now, once it covers all that the hub has not read in this epoch.

        What the keeper publishes once more after a loss may lie there, and was shown: only the hub knows that.
        """
        if not await self._commits.reached(self._hub.recent.start, within=_WAIT):
            raise OverloadedError("The keeper has not read what came before.")
        async with self._reading:
            snapshot = await self._snapshots.of(subscription.room)
        if snapshot.place.epoch != self._hub.position.epoch:
            raise OverloadedError("The keeper has not begun the new epoch.")
        await subscription.room_to_write()
        subscription.say("gap", {"from": _shown(subscription.sent), "to": _shown(snapshot.place)})
        told = {"cursor": str(snapshot.place), "data": snapshot.data}
        subscription.say("snapshot", told, cursor=snapshot.place)
        subscription.begin(snapshot.place)
        subscription.task_ended = snapshot.ended


def whose(room: Room) -> Whose:
    """What to read of the log for a room; the frames' own keys decide what is shown of it."""
    return Whose(
        room.tenant,
        room.owner,
        task_id=UUID(room.id) if room.kind == "task" else None,
        session_id=room.id if room.kind == "session" else None,
        types=types_of(room.kind),
        also_tenant=room.also_tenant,
    )


def _write(subscription: Subscription, frames: list[Frame]) -> bool:
    """Write while the reader takes it; False if some are left."""
    for portion in _portions(frames):
        if subscription.state == "over" or subscription.blocked:
            return False
        subscription.write_all(portion)
    return True


def _portions(frames: list[Frame]) -> Iterator[list[Frame]]:
    """The same, so many at a time that each time is about what one reader's buffer takes."""
    portion: list[Frame] = []
    size = 0
    for frame in frames:
        if portion and size + frame.size > _PORTION:
            yield portion
            portion, size = [], 0
        portion.append(frame)
        size += frame.size
    if portion:
        yield portion


def _shown(cursor: Cursor) -> str:
    return str(cursor) if cursor.epoch else "0"
