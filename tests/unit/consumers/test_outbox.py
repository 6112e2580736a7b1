"""The outbox: in order, only under a fresh lease, and again when nothing comes back."""

import asyncio
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


def outgoing(number: int) -> Outgoing:
    cause = submitted()
    data = TaskReady(task_id=UUID(int=number), kind="goal", from_status="submitted", version=2, attempt=1)
    event = cause.caused(data, source="/keeper")
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
    outbox.read_back(ids(events)[:1])
    running = asyncio.create_task(outbox.run())
    await eventually(lambda: len(bus.posted) >= 5)
    running.cancel()
    assert bus.posted[3:5] == ids(events)[1:]
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
