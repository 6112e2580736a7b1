"""One term of the active keeper: from taking the lease to losing it, the bus or the database."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError
from pydantic import ValidationError

from consumers._time_slices import TimeSlices
from consumers.keeper.dead import bury
from consumers.keeper.epoch import begin_epoch
from consumers.keeper.fold import Fold, Inbound, Outgoing, is_own_state, presumed_new, read
from consumers.keeper.janitor import Janitor
from consumers.keeper.lease import Lease
from consumers.keeper.loading import Foresight
from consumers.keeper.metrics import COMMIT_SECONDS, FOLDED, OUTBOX, RESENT, count_statuses
from consumers.keeper.outbox import Outbox
from consumers.keeper.state import TaskState
from consumers.keeper.world import Key, MissingStateError, State, World
from events.announce import Committed, Missed
from events.base import Event, EventData
from events.codec import decode_structured
from events.errors import BusUnavailableError, LeaseLostError
from events.streams import BUS
from events.subjects import COMMITTED, MISSED
from events.task import TaskSubmitted
from producers.cancellation import heed_cancellation
from producers.mark import Mark, is_there
from producers.publisher import Publisher
from producers.reader import Delivery, Hole, Reader
from producers.topology import epoch_of
from storage.faults import UnkeepableError
from storage.keeper import KeeperStore, Position, RepeatedEventError

log = structlog.get_logger()

_ANNOUNCE_EVERY = 0.1
_WITHOUT_BUS = 2.0
"""Seconds: who cannot reach the bus for so long keeps nobody from leading who can."""
_EPOCH_EVERY = 1.0
_OWN_WAIT = 0.05
_BATCH = 256
_BYTES = 8 * 1024 * 1024
"""Of own outputs that wait for company: as many as the reader gives at a time."""
_LED_TO = 4_096
"""Events of ours in one commit after which it holds no more: it has to be done well within the lease."""
_OPEN_TASKS = 8_192
_CROWD = 16
"""When so many senders wait for one commit, or for the one after it, the consumers beside us let them pass first."""
_ASKED = f".{TaskSubmitted.aggregate}.{TaskSubmitted.event_name}."

Item = Delivery | Hole


class ReconnectedError(Exception):
    """The bus was away: what is at the position must be compared again before folding on."""


class LogShortenedError(Exception):
    """The log lost an end that subscribers had seen and we had not read: what comes belongs to a new epoch."""


class EpochOverError(Exception):
    """The log names a newer epoch than ours: a keeper that had lost its lease ended up beginning one."""


class UnfoldableError(Exception):
    """The pure part of the fold failed: a defect of ours or an event that should not exist."""


class Poison(NamedTuple):
    """Why an event is kept as bytes only; `alone`: its task cannot be ended either."""

    reason: str
    alone: bool = False


_DATA_FAULTS = (UnfoldableError, UnkeepableError)
"""What a batch can fail for because of its data; everything else ends the term and is tried again."""


class Term:
    """Folds the log from `position` on until something ends the term by raising.

    The lease is taken, and kept by somebody else.
    """

    def __init__(
        self,
        *,
        client: Client,
        publisher: Publisher,
        store: KeeperStore,
        lease: Lease,
        position: Position,
        slices: TimeSlices,
    ) -> None:
        self._client = client
        self._slices = slices
        self._publisher = publisher
        self._store = store
        self._lease = lease
        self._position = position
        self._outbox = Outbox(publisher, lambda: lease.is_fresh)
        self._next_outbox = 0
        self._resent = 0
        self._expects_repeats = False  # where one batch held some, as when a log begins anew, the next will
        self._open_tasks: OrderedDict[Key, State] = OrderedDict()
        self._turn = asyncio.Lock()
        self._reconnects = client.stats["reconnects"]

    @property
    def position(self) -> Position:
        """How far the log is folded."""
        return self._position

    async def run(self, janitor: Janitor) -> None:
        """Catch up, publish what an earlier keeper left, then fold what comes."""
        self._next_outbox = await self._store.last_outbox_position() + 1
        async with Reader(self._client, BUS.name, self._position.seq + 1) as reader, asyncio.TaskGroup() as loops:
            loops.create_task(self._outbox.run())
            loops.create_task(self._announce())
            await self._catch_up(reader)
            await self._publish_left()
            loops.create_task(janitor.run(self._send_resent, lambda: self._position))
            loops.create_task(self._hear_what_is_missed())
            loops.create_task(self._look_for_a_newer_epoch())
            with self._slices.before(lambda: reader.waiting(_ASKED) >= _CROWD):
                while True:
                    heed_cancellation()
                    await self._step(reader)

    async def _announce(self) -> None:
        """Say the position now and every 100 ms: whoever missed a commit learns of it. Raises when the bus is away."""
        connected = time.monotonic()
        while True:
            heed_cancellation()
            if self._client.stats["reconnects"] != self._reconnects:
                raise ReconnectedError
            if self._client.is_connected:
                connected = time.monotonic()
            elif time.monotonic() - connected > _WITHOUT_BUS:
                raise BusUnavailableError
            await self._tell({})
            await asyncio.sleep(_ANNOUNCE_EVERY)

    async def _tell(self, outcomes: dict[str, str]) -> None:
        if not self._client.is_connected:
            return
        place = self._position
        said = Committed(epoch=place.epoch, position=place.seq, outcomes=outcomes, resent=self._resent)
        await self._client.publish(COMMITTED, said.model_dump_json().encode())

    async def _hear_what_is_missed(self) -> None:
        """Begin a new epoch, and end the term, once a gateway has shown what the log no longer has."""
        subscription = await self._client.subscribe(MISSED)
        try:
            async for message in subscription.messages:
                heed_cancellation()
                if await self._is_missed(message.data):
                    async with self._turn:
                        await begin_epoch(self._client, self._store, self._position)
                    raise LogShortenedError
        finally:
            if self._client.is_connected:
                await subscription.unsubscribe()

    async def _look_for_a_newer_epoch(self) -> None:
        """End the term when there is one: gateways begin in it, and wait for a keeper that says so, too."""
        while True:
            heed_cancellation()
            await asyncio.sleep(_EPOCH_EVERY)
            try:
                named = await epoch_of(self._client)
            except (NatsError, TimeoutError):
                continue  # the bus is away
            if named > self._position.epoch:
                raise EpochOverError

    async def _is_missed(self, body: bytes) -> bool:
        """Whether a gateway is right that the log of our epoch has lost an event."""
        try:
            said = Missed.model_validate_json(body)
        except ValidationError:
            return False
        mark = Mark(said.seq, said.stamp)
        return said.epoch == self._position.epoch and not await is_there(self._client.jetstream(), BUS.name, mark)

    async def _catch_up(self, reader: Reader) -> None:
        """Fold to the log's end before publishing: an event left in the outbox may be in the log already."""
        try:
            # Not the stream's last sequence: what is deleted there would be waited for.
            last = (await self._client.jetstream().get_last_msg(BUS.name, ">")).seq or 0
        except NotFoundError:
            return
        while self._position.seq < last:
            await self._step(reader, publish=False)

    async def _publish_left(self) -> None:
        position, end = 0, self._next_outbox
        while left := await self._store.outbox_between(position, end):
            position = left[-1].position
            await self._outbox.publish(
                [Outgoing(row.position, decode_structured(row.body), row.subject, row.body) for row in left]
            )

    async def _step(self, reader: Reader, *, publish: bool = True) -> None:
        """Fold and commit what is waiting; own outputs alone wait a little for company, unless others wait for them."""
        items = await reader.batch(_BATCH)
        while publish and self._has_time(items) and await reader.more(_OWN_WAIT):
            items += await reader.batch(_BATCH - len(items))
        if self._client.stats["reconnects"] != self._reconnects:
            raise ReconnectedError
        async with self._turn:
            with self._slices.held(at_once=sum(map(_is_asked, items)) >= _CROWD):
                while items:
                    fold = await self._commit_batch(items)
                    for one in [fold] if fold else [await self._commit_one(item) for item in items]:
                        await self._after(one, publish=publish)
                    items = items[fold.taken :] if fold else []

    def _has_time(self, items: Sequence[Item]) -> bool:
        if len(items) >= _BATCH or self._outbox.holds or not all(map(_is_own, items)):
            return False
        return sum(len(item.body) for item in items if isinstance(item, Delivery)) < _BYTES

    async def _after(self, fold: Fold, *, publish: bool) -> None:
        if publish:
            await self._outbox.publish(fold.outgoing)
        if fold.outcomes:
            await self._tell(fold.outcomes)

    async def _send_resent(self, events: Sequence[Event[EventData]], offered: int = 0) -> None:
        """Put re-sends of the sweep through the outbox table like every event of ours; `offered` ones do not count."""
        async with self._turn:
            fold = Fold(self._position.epoch, World({}), self._next_outbox)
            for event in events:
                fold.publish(event)
            await self._store.add_to_outbox(fold.changes.of("sent"))
            self._next_outbox = fold.next_outbox
            self._resent += len(events) - offered
            RESENT.inc(len(events) - offered)
            await self._outbox.publish(fold.outgoing)

    async def _commit_batch(self, items: Sequence[Item]) -> Fold | None:
        """Commit the items together, or as many of them as one commit holds; None if some of them cannot be."""
        if not self._expects_repeats:
            try:
                return await self._commit(items)
            except RepeatedEventError:
                pass
            except _DATA_FAULTS:
                return None
        known = await self._known(items)
        self._expects_repeats = bool(known)
        try:
            return await self._commit(items, known=known)
        except _DATA_FAULTS:
            return None

    async def _commit_one(self, item: Item) -> Fold:
        """Commit one item, as poison if that is what it is: the position moves on."""
        known = await self._known([item])
        try:
            return await self._commit([item], known=known)
        except _DATA_FAULTS as fault:
            reason = type(fault).__name__
            log.exception("event_poisonous", reason=reason, seq=item.seq if isinstance(item, Delivery) else None)
        try:
            return await self._commit([item], known=known, poison=Poison(reason))
        except _DATA_FAULTS:
            log.exception("poisoned_task_not_ended", reason=reason)
            return await self._commit([item], known=known, poison=Poison(reason, alone=True))

    async def _commit(
        self, items: Sequence[Item], *, known: set[tuple[str, str]] | None = None, poison: Poison | None = None
    ) -> Fold:
        inbound = [read(item, self._outbox) if isinstance(item, Delivery) else item for item in items]
        fold = await self._fold(inbound, known, poison)
        last = items[fold.taken - 1]
        now = Position(self._position.epoch, last.seq if isinstance(last, Delivery) else last.last_seq)
        if fold.dead:  # before the position leaves them behind: nobody comes back to them
            await bury(self._publisher, fold.dead, now.epoch)
        began = time.monotonic()
        try:
            await self._store.write(fold.changes, self._position, now)
        except RepeatedEventError as error:
            if known is None:
                raise
            raise LeaseLostError from error  # of none that is known: another keeper's statement was done only now
        self._lease.renewed(began)
        COMMIT_SECONDS.observe(time.monotonic() - began)
        FOLDED.inc(fold.taken)
        tasks = [(key, state) for key, state in fold.world.changed() if isinstance(state, TaskState)]
        count_statuses((one.event.data for one in fold.outgoing), (task for _, task in tasks))
        self._position, self._next_outbox = now, fold.next_outbox
        self._keep_open(tasks)
        self._outbox.read_back(fold.changes.read_back)
        OUTBOX.set(len(self._outbox) + len(fold.outgoing))
        return fold

    async def _fold(
        self, inbound: Sequence[Inbound | Hole], known: set[tuple[str, str]] | None, poison: Poison | None
    ) -> Fold:
        """Fold the batch; again with what is missing when a rule asks for a state that was not foreseen.

        As long as no events are looked for that are `known`, a task that is asked for is taken for a new one.
        """
        events = [item for item in inbound if isinstance(item, Inbound)]
        states: dict[Key, State | None] = {}
        if known is None:
            states.update((key, self._open_tasks.get(key)) for key in presumed_new(events))
        foresight = Foresight(self._store, self._open_tasks, states)
        await foresight.foresee(events)
        while True:
            fold = Fold(self._position.epoch, World(states), self._next_outbox, set(known or ()))
            try:
                _fold_all(fold, inbound, poison)
            except MissingStateError as missing:
                await foresight.missed(missing.key)
            else:
                return fold

    def _keep_open(self, tasks: Iterable[tuple[Key, TaskState]]) -> None:
        """Remember open tasks as they were committed: nobody else writes them while the lease is ours."""
        for key, task in tasks:
            self._open_tasks.pop(key, None)
            if task.finished_at is None:
                self._open_tasks[key] = task._replace(birth=None, steered=False, planned=None)
        while len(self._open_tasks) > _OPEN_TASKS:
            self._open_tasks.popitem(last=False)

    async def _known(self, items: Sequence[Item]) -> set[tuple[str, str]]:
        events = [read(item, self._outbox).event for item in items if isinstance(item, Delivery)]
        return await self._store.known([(event.source, event.id) for event in events if event is not None])


def _fold_all(fold: Fold, inbound: Sequence[Inbound | Hole], poison: Poison | None) -> None:
    try:
        for item in inbound:
            fold.taken += 1
            if isinstance(item, Hole):
                fold.take_hole(item, datetime.now(UTC))
            elif poison is not None:
                fold.take_poison(item, poison.reason, alone=poison.alone)
            else:
                fold.take(item)
            if len(fold.outgoing) >= _LED_TO:
                break
        fold.finish()
    except MissingStateError:
        raise
    except Exception as error:
        raise UnfoldableError from error


def _is_own(item: Item) -> bool:
    return isinstance(item, Delivery) and is_own_state(item.subject)


def _is_asked(item: Item) -> bool:
    return isinstance(item, Delivery) and _ASKED in item.subject
