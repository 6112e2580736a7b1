"""Random lives of a log, a hub and its subscribers: each sees every event once and in order, or is told of a gap.

The hub, the replayer and the subscriptions are the real ones; the stream, the keeper and Postgres are lists. Steps are
drawn at random and meet at the awaits of the code, seeded, so that a life that fails can be lived again.
"""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast

import orjson
import pytest

from events.cursor import Cursor
from gateway.commits import Commits
from gateway.lag import Lag
from gateway.live import hub as hubs
from gateway.live import replay
from gateway.live.frames import Frame
from gateway.live.hub import Hub
from gateway.live.outlet import Closing
from gateway.live.recent import Recent
from gateway.live.replay import Replayer
from gateway.live.rooms import Room
from gateway.live.snapshots import Snapshot, Snapshots
from gateway.live.speech import Saying
from gateway.live.subscription import Fields, Subscription
from gateway.metrics import Metrics
from producers.reader import Delivery, Hole
from storage.log import Identified, LogEntry, Whose
from storage.reading import Database
from tests.support.eventually import eventually

OWNERS = ("alice", "bob")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class World:
    """A stream, what the keeper has committed of it, and a hub that reads it; every step is one method."""

    rng: random.Random
    stream: dict[int, str] = field(default_factory=dict)
    last_seq: int = 0
    epoch: str = "a"
    rows: list[tuple[Cursor, str]] = field(default_factory=list)
    gaps: list[tuple[str, int, int]] = field(default_factory=list)
    made: int = 0
    lost: set[str] = field(default_factory=set)
    to_repeat: list[str] = field(default_factory=list)
    folded: int = 0
    read: int = 1

    def __post_init__(self) -> None:
        async def nothing(_: object) -> dict[str, str]:
            return {}

        self.hub = Hub(self.latest_ids, Lag(time.monotonic), Metrics())
        self.hub.recent = Recent(max_events=self.rng.choice((4, 16, 64)))
        self.commits = Commits(nothing, Lag(time.monotonic))
        self.commits._move(Cursor("a", 0))
        self.replayer = Replayer(cast("Database", self), self.hub, self.commits, cast("Snapshots", self))

    async def pause(self) -> None:
        for _ in range(self.rng.randrange(4)):
            await asyncio.sleep(0)

    async def latest_ids(self, until: Cursor, limit: int) -> list[Identified]:
        await self.pause()
        return [Identified(("/k", name), place) for place, name in self.rows if place <= until][-limit:]

    async def entries(self, _: object, whose: Whose, after: Cursor, until: Cursor, limit: int) -> list[LogEntry]:
        await self.pause()
        wanted = [(p, n) for p, n in self.rows if after < p <= until and owner_of(n) == whose.owner][:limit]
        await self.pause()
        return [LogEntry(p.epoch, p.seq, NOW, "applied", body_of(n)) for p, n in wanted]

    async def has_gap(self, _: object, after: Cursor, until: Cursor) -> bool:
        await self.pause()
        return any(e == until.epoch and last > after.seq and first <= until.seq for e, first, last in self.gaps)

    async def has_archived(self, *_: object) -> bool:
        await self.pause()
        return False

    async def of(self, _: Room) -> Snapshot:
        await self.pause()
        snapshot = Snapshot(Cursor(self.epoch, self.folded), None)
        await self.pause()
        return snapshot

    async def publish(self) -> None:
        """A new event, one that the stream holds already once more, or one that was lost before it was kept."""
        repeated = self.stream and self.rng.random() < 0.15
        self.made += not repeated
        name = self.rng.choice(list(self.stream.values())) if repeated else f"{self.rng.choice(OWNERS)}-{self.made}"
        if self.to_repeat and self.rng.random() < 0.5:
            name = self.to_repeat.pop(0)
        self.last_seq += 1
        self.stream[self.last_seq] = name

    async def fold(self) -> None:
        """The keeper commits some of what it has not read yet."""
        known = {name for _, name in self.rows}
        for _ in range(self.rng.randrange(1, 6)):
            if self.folded >= self.last_seq:
                break
            self.folded += 1
            name = self.stream.get(self.folded)
            if name is None:
                self.gaps.append((self.epoch, self.folded, self.folded))
            elif name not in known:
                known.add(name)
                self.rows.append((Cursor(self.epoch, self.folded), name))
        self.commits._move(Cursor(self.epoch, self.folded))

    async def take(self) -> None:
        """The hub reads some of what is waiting; a hole makes it begin anew."""
        for _ in range(self.rng.randrange(1, 6)):
            if self.read > self.last_seq:
                break
            name = self.stream.get(self.read)
            if name is None:
                self.hub._take(Hole(self.read, self.read))
                self.read += 1
                if self.hub._restart.is_set():
                    await self.begin()
                    return
                continue
            self.hub._take(Delivery(self.read, int(NOW.timestamp() * 1e9), "bus.t", body_of(name), None))
            self.read += 1

    async def begin(self) -> None:
        """As the hub does after a break."""
        self.hub._restart.clear()
        self.hub._opened.clear()
        await self.pause()
        self.hub._begin(Cursor(self.epoch, self.last_seq))
        self.read = 1 + await self.hub._remember_latest()
        self.hub._opened.set()
        self.hub._everybody_catches_up()

    async def lose(self) -> None:
        """A message is gone from the stream, before anybody was shown it or when it is kept."""
        if free := [seq for seq in self.stream if seq > self.hub.position.seq or seq <= self.folded]:
            del self.stream[self.rng.choice(free)]

    async def wipe(self) -> None:
        """The stream is lost; the keeper begins an epoch, the hub reads it; what was lost is published again."""
        known = {name for _, name in self.rows}
        unread = [name for name in dict.fromkeys((*self.to_repeat, *self.stream.values())) if name not in known]
        self.to_repeat = unread
        self.lost |= set(unread)
        self.epoch = chr(ord(self.epoch) + 1)
        self.stream.clear()
        self.last_seq = self.folded = 0
        self.commits._move(Cursor(self.epoch, 0))
        await self.begin()


def owner_of(name: str) -> str:
    return name.partition("-")[0]


def body_of(name: str) -> bytes:
    return orjson.dumps(
        {
            "type": "io.ganglion.task.running.v1",
            "source": "/k",
            "id": name,
            "subject": name,
            "tenantid": "t",
            "ownerid": owner_of(name),
            "taskid": name,
            "data": {},
        }
    )


@dataclass
class Reader:
    """A client: it comes, reads slowly or not at all for a while, is cut off, and comes back with its cursor."""

    world: World
    owner: str
    after: str | None
    told: list[tuple[str, Cursor, str]] = field(default_factory=list)
    blocked: bool = False
    closing: Closing | None = None
    last: Cursor | None = None
    held: asyncio.Event = field(default_factory=asyncio.Event)
    subscription: Subscription | None = None

    def event(self, frame: Frame) -> bytes:
        return b"%s %s\n" % (str(frame.cursor).encode(), orjson.loads(b"{" + frame.tail)["subject"].encode())

    def delta(self, saying: Saying, offset: int, text: str) -> bytes | None: ...

    def control(self, kind: str, fields: Fields) -> bytes:
        if kind == "error":
            self.subscription = None
        place = str(fields.get("cursor" if kind == "snapshot" else "from"))
        return b"%s %s!%s\n" % (place.encode(), kind.encode(), str(fields.get("recovered")).encode())

    def put(self, data: bytes, cursor: Cursor | None = None) -> None:  # noqa: ARG002 - an Outlet's
        for line in data.decode().splitlines():
            place, what = line.split(" ")
            if what.startswith("error"):
                continue
            self.told.append((what, Cursor.parse(place), what))
            if not what.startswith("gap"):
                self.after = place

    async def room(self) -> None:
        while self.blocked:
            self.held.clear()
            await self.held.wait()

    def close(self, code: int, reason: str) -> None:
        self.closing = Closing(code, reason)

    def come(self) -> None:
        if self.subscription is None:
            self.closing = None
            after = None if self.after is None else Cursor.parse(self.after)
            self.subscription = Subscription(Room("tasks", "t", self.owner), self, self)
            self.world.replayer.start(self.subscription, after)

    def go(self) -> None:
        if self.subscription is not None:
            self.world.replayer.stop(self.subscription)
            self.subscription = None

    def change(self) -> None:
        self.blocked = not self.blocked
        self.held.set()

    def is_level(self) -> bool:
        self.come()
        return self.subscription is not None and self.subscription.state == "live"


def check(reader: Reader, world: World) -> None:
    """Every part of the record between two gaps holds all that the log has there, once and in order."""
    kept = [(place, name) for place, name in world.rows if owner_of(name) == reader.owner]
    parts: list[tuple[Cursor, list[tuple[Cursor, str]]]] = []
    for what, place, name in reader.told:
        if what.startswith("subscribed") and parts and not what.endswith("False"):
            continue  # it went on where it was
        if what.startswith("snapshot") or (what.startswith("subscribed") and not parts):
            parts.append((place, []))
        elif "!" not in what:
            parts[-1][1].append((place, name))
    before: set[str] = set()
    for number, (start, shown) in enumerate(parts):
        is_last = number == len(parts) - 1
        end = world.hub.position if is_last else (shown[-1][0] if shown else start)
        there = [(place, name) for place, name in kept if start < place <= end]
        found = [one for one in shown if is_last or one in there]  # what was lost may have been seen
        assert found == [one for one in there if one in found or one[1] not in before], (number, start, end)
        assert [place for place, _ in shown] == sorted({place for place, _ in shown})
        names = {name for _, name in shown}
        assert len(names) == len(shown)
        assert names & before <= world.lost  # only what was lost comes again, and behind a gap
        before |= names


@asynccontextmanager
async def life(world: World) -> AsyncGenerator[list[Reader]]:
    readers = [Reader(world, owner, after) for owner in OWNERS for after in (None, "0", None)]
    world.hub._begin(Cursor("a", 0))
    world.hub._opened.set()
    yield readers
    for reader in readers:
        reader.blocked = False
        reader.held.set()
    while world.folded < world.last_seq or world.read <= world.last_seq:
        await world.fold()
        await world.take()
    await eventually(lambda: all(reader.is_level() for reader in readers), within=5)
    for reader in readers:
        check(reader, world)
        reader.go()
    assert not world.hub._rooms
    await eventually(lambda: not world.replayer._tasks)


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], World]:
    """A world of a seed, whose replays are short of patience and of room."""

    def made(seed: int) -> World:
        world = World(random.Random(seed))
        monkeypatch.setattr(replay, "entries", world.entries)
        monkeypatch.setattr(replay, "has_gap", world.has_gap)
        monkeypatch.setattr(replay, "has_archived", world.has_archived)
        return world

    for name, value in {"_RETRY": 0.01, "_SOONER": 0.005, "_WAIT": 0.05, "_PAGE": 3, "_SLICE": 2}.items():
        monkeypatch.setattr(replay, name, value)
    monkeypatch.setattr(hubs, "_REMEMBERED_FROM_BEFORE", 10)
    return made


@pytest.mark.parametrize("seed", range(40))
async def test_every_event_once_and_in_order_or_a_gap(seed: int, quickly: Callable[[int], World]) -> None:
    world = quickly(seed)
    rng = world.rng
    async with life(world) as readers:
        for _ in range(400):
            draw = rng.random()
            if draw < 0.75:
                await rng.choice((world.publish, world.publish, world.fold, world.take, world.take))()
            elif draw < 0.96:
                reader = rng.choice(readers)
                rng.choice((reader.come, reader.come, reader.go, reader.change))()
            elif draw < 0.98:
                await world.begin()
            else:
                await rng.choice((world.lose, world.lose, world.wipe))()
            await world.pause()
            if rng.random() < 0.02:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("what", ["begins anew", "lets the oldest go"])
async def test_memory_that_changes_while_a_reader_waits_for_its_turn_hides_nothing(
    what: str, quickly: Callable[[int], World]
) -> None:
    world = quickly(0)
    world.hub.recent = Recent(max_events=4)
    async with life(world) as readers:
        reader = readers[0]
        await eventually(reader.is_level)
        assert reader.subscription is not None
        async with world.replayer._writing, world.replayer._writing:  # both turns are taken
            reader.subscription.fall_behind()
            for _ in range(10):
                await asyncio.sleep(0)
            for _ in range(20):
                await world.publish()
            while world.folded < world.last_seq:
                await world.fold()
            while what != "begins anew" and world.read <= world.last_seq:
                await world.take()
            if what == "begins anew":
                await world.begin()
