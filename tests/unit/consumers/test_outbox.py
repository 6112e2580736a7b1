"""The outbox: in order, only under a fresh lease, and again when nothing comes back."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from uuid import UUID

import pytest

from consumers.keeper import outbox as module
from consumers.keeper.fold import Outgoing
from consumers.keeper.outbox import Outbox
from events import TaskReady
from events.codec import encode
from events.errors import BusUnavailableError
from producers.publisher import Encoded
from tests.support.eventually import eventually
from tests.support.running_keeper import submitted


class Bus:
    """Takes what is posted, as long as it is there; each write lets others run, as a full socket does."""

    def __init__(self) -> None:
        self.posted: list[str] = []
        self.atomic: list[bool] = []
        self.away = False

    async def post_all(self, items: Sequence[Encoded], *, atomic: bool = True) -> None:
        self.atomic.append(atomic)
        for _, _, message_id in items:
            await asyncio.sleep(0)
            if self.away:
                raise BusUnavailableError
            self.posted.append(message_id)


class Lease:
    fresh = True

    def __call__(self) -> bool:
        return self.fresh


def outgoing(number: int, *, task: int | None = None, version: int = 2, reason: str = "") -> Outgoing:
    cause, task_id = submitted(), UUID(int=number if task is None else task)
    data = TaskReady(
        task_id=task_id, kind="goal", from_status="submitted", version=version, attempt=1, reason=reason or None
    )
    event = cause.caused(data, source="/keeper", index=version)
    return Outgoing(number, event, "bus.t.task.ready.0", encode(event))


def ids(events: Sequence[Outgoing]) -> list[str]:
    return [one.event.id for one in events]


def made(bus: Bus, lease: Callable[[], bool]) -> Outbox:
    return Outbox(bus, lease)  # type: ignore[arg-type]  # it needs nothing else of a publisher


async def test_two_senders_at_once_neither_double_nor_lose_nor_overtake() -> None:
    bus, events = Bus(), [outgoing(number) for number in range(60)]
    outbox = made(bus, Lease())
    await asyncio.gather(*(outbox.publish(events[start : start + 20]) for start in (0, 20, 40)))
    assert bus.posted == ids(events)
    assert len(outbox) == 60
    outbox.read_back(ids(events))
    assert len(outbox) == 0


async def test_what_the_bus_did_not_take_is_sent_again_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHECK", 0.01)
    bus, events = Bus(), [outgoing(number) for number in range(5)]
    outbox = made(bus, Lease())
    bus.away = True
    await outbox.publish(events[:3])
    await outbox.publish(events[3:])
    assert bus.posted == []
    bus.away = False
    running = asyncio.create_task(outbox.run())
    await eventually(lambda: bus.posted == ids(events))
    running.cancel()


async def test_what_never_comes_back_is_sent_again_and_not_as_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHECK", 0.01)
    monkeypatch.setattr(module, "_PATIENCE", 0.05)
    bus, events = Bus(), [outgoing(number) for number in range(3)]
    outbox = made(bus, Lease())
    await outbox.publish(events)
    running = asyncio.create_task(outbox.run())
    await eventually(lambda: len(bus.posted) >= 6)
    running.cancel()
    assert bus.posted[3:6] == ids(events)
    assert bus.atomic[:2] == [True, False]


async def test_events_that_come_back_while_they_wait_to_be_sent_again_break_nothing() -> None:
    bus, events = Bus(), [outgoing(number) for number in range(3)]
    outbox = made(bus, Lease())
    bus.away = True
    await outbox.publish(events)
    outbox.read_back(ids(events)[:2])
    bus.away = False
    await outbox.publish([])
    assert bus.posted == ids(events)[2:]
    assert [outbox.get(event_id) is not None for event_id in ids(events)] == [False, False, True]


async def test_a_lease_that_goes_stale_midway_stops_the_rest() -> None:
    lease, events = Lease(), [outgoing(number) for number in range(600)]

    class Slow(Bus):
        async def post_all(self, items: Sequence[Encoded], *, atomic: bool = True) -> None:
            await super().post_all(items, atomic=atomic)
            lease.fresh = False

    bus = Slow()
    outbox = made(bus, lease)
    await outbox.publish(events)
    assert 0 < len(bus.posted) <= 256
    lease.fresh = True
    await outbox.publish([])
    assert bus.posted == ids(events)[: len(bus.posted)]


async def test_the_next_state_of_a_task_waits_until_the_one_before_it_is_in_the_log() -> None:
    bus, first, second, other = Bus(), outgoing(1, task=7), outgoing(2, task=7, version=3), outgoing(3)
    outbox = made(bus, Lease())
    await outbox.publish([first])
    await outbox.publish([second, other])
    assert bus.posted == ids([first, other])
    assert outbox.holds
    outbox.read_back(ids([first]))
    await outbox.publish([])
    assert bus.posted == ids([first, other, second])


async def test_two_states_of_a_task_share_a_write_unless_a_full_log_might_keep_only_the_later() -> None:
    bus, small, large = Bus(), outgoing(1, task=7), outgoing(2, task=7, version=3, reason="because")
    await made(bus, Lease()).publish([small, large])
    assert bus.posted == ids([small, large])
    bus, large, small = Bus(), outgoing(1, task=7, reason="because"), outgoing(2, task=7, version=3)
    await made(bus, Lease()).publish([large, small])
    assert bus.posted == ids([large])


async def test_what_was_lost_goes_again_as_soon_as_something_younger_has_come_back() -> None:
    bus, events = Bus(), [outgoing(number) for number in range(4)]
    outbox = made(bus, Lease())
    await outbox.publish(events)
    outbox.read_back(ids(events)[2:3])
    await outbox.publish([])
    assert bus.posted[4:] == ids(events)[:2]


async def test_one_that_comes_late_after_it_was_sent_again_makes_nobody_else_look_lost() -> None:
    bus, events = Bus(), [outgoing(number) for number in range(50)]
    outbox = made(bus, Lease())
    await outbox.publish(events)
    for late in (1, 0):  # so 0 is sent again, and then the first of it is back after all
        outbox.read_back(ids(events)[late : late + 1])
        await outbox.publish([])
    assert bus.posted == ids([*events, events[0]])


class Lossy(Bus):
    """Keeps what it takes once, in `posted`, but a cut takes the rest of a write, and a full log what is too large."""

    def __init__(self, dice: random.Random) -> None:
        super().__init__()
        self.dice = dice

    async def post_all(self, items: Sequence[Encoded], *, atomic: bool = True) -> None:
        until = self.dice.choice((0, 1, 2, len(items), len(items)))
        largest = self.dice.choice((700, 720, 2_000, 2_000)) if atomic or self.dice.random() < 0.5 else 2_000
        for _, body, message_id in items[:until]:
            if len(body) <= largest and message_id not in self.posted:
                self.posted.append(message_id)


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_is_lost_each_task_is_told_in_order(seed: int) -> None:
    dice = random.Random(seed)
    bus = Lossy(dice)
    outbox = made(bus, Lease())
    versions: dict[int, int] = defaultdict(int)
    told: dict[str, tuple[int, int]] = {}
    read = 0
    for number in range(600):
        batch = []
        for task in dice.choices(range(6), k=dice.randint(0, 3)) if number < 200 else ():
            versions[task] += 1
            one = outgoing(len(told), task=task, version=versions[task], reason="x" * dice.choice((0, 10, 40)))
            told[one.event.id] = (task, versions[task])
            batch.append(one)
        await outbox.publish(batch)
        if dice.random() < 0.1:
            outbox.nothing_comes()
        came, read = bus.posted[read:], len(bus.posted)
        outbox.read_back(came)
    seen: dict[int, list[int]] = defaultdict(list)
    for event_id in bus.posted:
        seen[told[event_id][0]].append(told[event_id][1])
    assert seen == {task: list(range(1, last + 1)) for task, last in versions.items()}
