"""Joining what was with what is: a subscription's history, then its live events, without a seam (DESIGN 6).

Live first: the hub buffers from position H on; then the log is read up to H, which must be committed by then; then
the buffer follows. A cursor that is too old, or of another epoch, gets `gap` and `snapshot` instead of history.
"""

import asyncio
import contextlib
from collections.abc import Coroutine

import structlog

from events.cursor import Cursor
from events.errors import BusUnavailableError, GanglionError, OverloadedError, TransientError
from events.task import FINAL
from gateway.commits import Commits
from gateway.errors import NotFoundError
from gateway.frames import make_frame, read_envelope
from gateway.hub import Hub
from gateway.subscription import Fields, Room, Subscription
from gateway.views import is_shown, page_view, task_view
from storage.log import Whose, entries, has_gap
from storage.reading import Database
from storage.tasks import TaskFilter, find_task, list_moment

log = structlog.get_logger()

BEGINNING = Cursor("", 0)

_PAGE = 100
_LIST = 50
_WAIT = 5.0
_RETRY = 0.5
_AT_ONCE = 4


class Replayer:
    """Starts subscriptions and repairs those whose live stream broke. At most 4 read the database at once."""

    def __init__(self, engine: Database, hub: Hub, commits: Commits) -> None:
        self._engine = engine
        self._hub = hub
        self._commits = commits
        self._reading = asyncio.Semaphore(_AT_ONCE)
        self._tasks: dict[Subscription, asyncio.Task[None]] = {}
        hub.on_break = self._recover

    def start(self, subscription: Subscription, after: Cursor | None, *, ended: bool = False) -> None:
        """Begin after a cursor, or now; `ended` if the room's task is known to have ended."""
        self._run(subscription, self._begin(subscription, after, ended=ended))

    def stop(self, subscription: Subscription) -> None:
        """End the subscription."""
        task = self._tasks.pop(subscription, None)
        if task is not None:
            task.cancel()
        subscription.stop()
        self._hub.leave(subscription)

    def _recover(self, subscription: Subscription) -> None:
        """Missed events: tell so, show how things stand, go on from there."""
        running = self._tasks.pop(subscription, None)
        if running is not None:
            running.cancel()
        if subscription.state != "over":
            self._run(subscription, self._snapshot_again(subscription))

    def _run(self, subscription: Subscription, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(self._guard(subscription, work))
        self._tasks[subscription] = task
        task.add_done_callback(lambda done: self._forget(subscription, done))

    def _forget(self, subscription: Subscription, done: asyncio.Task[None]) -> None:
        if self._tasks.get(subscription) is done:
            del self._tasks[subscription]

    async def _guard(self, subscription: Subscription, work: Coroutine[object, object, None]) -> None:
        try:
            await work
        except GanglionError as error:
            self._fail(subscription, error)
        except Exception:
            log.exception("subscription_failed")
            self._fail(subscription, GanglionError("The subscription failed on our side."))

    def _fail(self, subscription: Subscription, error: GanglionError) -> None:
        subscription.say("error", {"code": error.code, "detail": error.detail, "retryable": error.retryable})
        subscription.stop()
        self._hub.leave(subscription)

    async def _begin(self, subscription: Subscription, after: Cursor | None, *, ended: bool) -> None:
        if not await self._hub.opened(_WAIT):
            raise BusUnavailableError
        live_from = self._hub.join(subscription)
        if after is None:
            subscription.sent = live_from
            self._confirm(subscription, live_from, recovered=False)
            await subscription.catch_up(ended=ended or self._has_ended(subscription.room))
            return
        if not await self._commits.reached(live_from, within=_WAIT):
            raise OverloadedError
        if await self._is_lost(after, live_from):
            self._confirm(subscription, after, recovered=False)
            await self._snapshot(subscription, after)
            return
        self._confirm(subscription, after, recovered=True)
        subscription.sent = after
        await self._history(subscription, after, live_from)
        await subscription.catch_up(ended=ended or self._has_ended(subscription.room))

    async def _is_lost(self, after: Cursor, until: Cursor) -> bool:
        if after == BEGINNING:
            return False
        if after.epoch != until.epoch or after > until:
            return True
        async with self._reading:
            return await has_gap(self._engine, after, until)

    async def _history(self, subscription: Subscription, after: Cursor, until: Cursor) -> None:
        room = subscription.room
        whose = Whose(room.tenant, room.owner, room.task_id)
        place = after
        while place < until:
            async with self._reading:
                page = await entries(self._engine, whose, place, until, _PAGE)
            for entry in page:
                place = Cursor(entry.epoch, entry.seq)
                envelope = read_envelope(entry.body) if is_shown(entry) else None
                if envelope is not None:
                    await subscription.room_to_write()
                    subscription.write(make_frame(envelope, place, entry.time))
            if len(page) < _PAGE:
                return

    async def _snapshot_again(self, subscription: Subscription) -> None:
        """Until it succeeds: the subscription was promised every event or a gap."""
        while subscription.state == "behind":
            if await self._commits.reached(self._hub.position, within=_WAIT):
                with contextlib.suppress(TransientError):
                    await self._snapshot(subscription, subscription.sent)
                    return
            await asyncio.sleep(_RETRY)

    async def _snapshot(self, subscription: Subscription, lost_from: Cursor) -> None:
        async with self._reading:
            place, data, ended = await self._moment(subscription.room)
        if place.epoch != self._hub.position.epoch:
            raise OverloadedError("The keeper has not begun the new epoch.")
        subscription.say("gap", {"from": _shown(lost_from), "to": _shown(place)})
        subscription.say("snapshot", {"cursor": str(place), "data": data}, cursor=place)
        subscription.sent = place
        subscription.task_ended = False
        await subscription.catch_up(ended=ended)

    async def _moment(self, room: Room) -> tuple[Cursor, Fields, bool]:
        """How the room stands, its place in the log, and whether its task has ended."""
        if room.task_id is not None:
            row = await find_task(self._engine, room.task_id)
            if row is None:
                raise NotFoundError
            return row.at, task_view(row), row.status in FINAL
        rows, place = await list_moment(self._engine, TaskFilter(room.tenant, room.owner), _LIST + 1)
        return place, page_view(rows, _LIST), False

    def _has_ended(self, room: Room) -> bool:
        return room.task_id is not None and self._hub.ended_lately(str(room.task_id))

    def _confirm(self, subscription: Subscription, start: Cursor, *, recovered: bool) -> None:
        subscription.say("subscribed", {"from": _shown(start), "recovered": recovered}, cursor=start)


def _shown(cursor: Cursor) -> str:
    return str(cursor) if cursor.epoch else "0"
