"""What the keeper does by the clock: who counts as stuck, and what is due."""

from collections.abc import AsyncGenerator

import pytest

from consumers.keeper.sweep import AT_ONCE, Sweep
from deploy.local.server import Server
from events.ids import new_id
from events.plan import TaskDecompose
from events.route import RouteFailed
from events.streams import BUS, ROUTER
from producers.topology import drift
from storage.janitor import JanitorStore
from storage.keeper import Position
from tests.support.eventually import eventually
from tests.support.running_keeper import Bus, a_bus, checked, decided, epoch, started

SILENT, STUCK, UNROUTABLE = 90.0, 15.0, 300.0


@pytest.fixture
async def bus(nats_server: Server, database_url: str) -> AsyncGenerator[Bus]:
    async with a_bus(nats_server.url, database_url) as bus:
        await bus.keeper()
        yield bus


@pytest.fixture
async def store(bus: Bus, database_url: str) -> AsyncGenerator[JanitorStore]:
    store = await JanitorStore.connect(database_url)
    yield store
    await store.close()


async def _stuck(bus: Bus, store: JanitorStore) -> list[str]:
    epoch = await bus.database.fetchval("SELECT epoch FROM keeper")
    return [task.status for task in await store.stuck(STUCK, epoch, unroutable_after=UNROUTABLE)]


async def _age(bus: Bus, seconds: int, column: str = "updated_at", table: str = "task") -> None:
    await bus.database.execute(f"UPDATE {table} SET {column} = now() - make_interval(secs => $1)", seconds)  # noqa: S608  # own names


async def _heard_by_the_router(bus: Bus) -> None:
    js = bus.client.jetstream()
    waiting = (await js.consumer_info(BUS.name, ROUTER.name)).num_pending
    subscription = await js.pull_subscribe_bind(ROUTER.name, stream=BUS.name)
    for message in await subscription.fetch(waiting):
        await message.ack_sync()


async def test_a_task_that_does_not_move_is_stuck_after_its_patience(bus: Bus, store: JanitorStore) -> None:
    await bus.submit()
    await bus.folded()
    assert await _stuck(bus, store) == []
    await _age(bus, 16)
    await _age(bus, 16, "time", "event_log")
    assert await _stuck(bus, store) == ["submitted"]


async def test_a_task_is_not_stuck_that_a_late_keeper_has_only_just_driven_on(bus: Bus, store: JanitorStore) -> None:
    cause = await bus.submit()
    await bus.say(cause, checked(cause))
    await bus.enters(cause.taskid, "ready")
    await bus.folded()
    await _age(bus, 16)  # the verdict is that old, and the keeper was away since
    assert await _stuck(bus, store) == []


async def test_a_task_without_an_agent_is_offered_again_only_after_minutes(bus: Bus, store: JanitorStore) -> None:
    cause = await bus.submit()
    await bus.say(cause, checked(cause))
    await bus.enters(cause.taskid, "ready")
    assert cause.taskid is not None
    await bus.say(cause, RouteFailed(task_id=cause.taskid, attempt=1, reason="no_capability"))
    await bus.folded()
    await _age(bus, 60)
    await _age(bus, 60, "time", "event_log")
    assert await _stuck(bus, store) == []
    await _age(bus, 301)
    await _age(bus, 301, "time", "event_log")
    assert await _stuck(bus, store) == ["ready"]
    sweep = Sweep(bus.client, store)
    await _heard_by_the_router(bus)
    assert len(await sweep.take(Position(await epoch(bus), 0))) == 1
    assert sweep.offered == 1, "it was forgotten by nobody, and is not told as if it were"
    sweep = Sweep(bus.client, store)
    assert len(await sweep.take(Position("z", 0))) == 1
    assert sweep.offered == 0, "with its log its place in the router's queue was lost"


async def test_everything_open_is_stuck_in_a_new_epoch(bus: Bus, store: JanitorStore) -> None:
    await bus.submit()
    await bus.folded()
    assert [task.status for task in await store.stuck(STUCK, "z", unroutable_after=UNROUTABLE)] == ["submitted"]


async def test_the_sweep_comes_to_everyone_however_many_stay_stuck_before_them(bus: Bus, store: JanitorStore) -> None:
    first = [await bus.submit(f"Task {number}") for number in range(AT_ONCE)]
    last = [await bus.submit(f"Later {number}") for number in range(3)]
    await bus.folded()
    sweep, lost = Sweep(bus.client, store), Position("z", 0)  # the log is another one: nothing drives them on by itself
    assert {event.resendof for event in await sweep.take(lost)} == {cause.id for cause in first}
    again = await sweep.take(lost)
    assert [event.resendof for event in again] == [cause.id for cause in last]
    assert [event.data for event in again] == [cause.data for cause in last]
    assert await sweep.take(lost) == []


async def test_a_consumer_that_somebody_deleted_is_made_again(bus: Bus, store: JanitorStore) -> None:
    cause = await bus.submit()
    await bus.say(cause, checked(cause))
    await bus.enters(cause.taskid, "ready")
    await bus.folded()
    await bus.client.jetstream().delete_consumer(BUS.name, ROUTER.name)
    await _age(bus, 16)
    await _age(bus, 16, "time", "event_log")
    here = Position(await epoch(bus), 0)
    assert await Sweep(bus.client, store).take(here) == [], "it reads the log, so nothing needs to be sent again"
    assert await drift(bus.client) == []


async def test_a_silent_agent_and_a_passed_deadline_are_due_and_a_finished_task_never_is(
    bus: Bus, store: JanitorStore
) -> None:
    cause = await bus.submit()
    for data in (checked(cause), decided(cause), started(cause)):
        await bus.say(cause, data)
    await bus.enters(cause.taskid, "running")
    assert await store.due(SILENT) == []
    await _age(bus, 91, "heartbeat_at")
    assert [due.why for due in await store.due(SILENT)] == ["silent"]
    await _age(bus, 1, "due_at")
    assert [due.why for due in await store.due(SILENT)] == ["overtime"]
    await _age(bus, 4, "deadline_at")
    assert [due.why for due in await store.due(SILENT)] == ["overtime"]  # it may still end itself
    await _age(bus, 11, "deadline_at")
    assert [due.why for due in await store.due(SILENT)] == ["deadline"]
    await bus.database.execute("UPDATE task SET finished_at = now()")
    assert await store.due(SILENT) == []


async def test_a_plan_that_does_not_come_is_asked_for_again(bus: Bus) -> None:
    cause = await bus.submit(hold=True)
    assert cause.taskid is not None
    await bus.say(cause, checked(cause))
    await bus.say(cause, TaskDecompose(task_id=cause.taskid, plan_id=new_id(), by="o"))
    await bus.folded()
    await _age(bus, 1, "due_at")

    async def asked() -> bool:
        found = [event for _, event in await bus.stream() if str(event["type"]) == TaskDecompose.event_type]
        assert [event["source"] for event in found] == ["/consumers/test", "/keeper"]
        assert found[0]["data"] == found[1]["data"]
        return True

    await eventually(asked)
    assert await bus.status(cause.taskid) == "waiting"
