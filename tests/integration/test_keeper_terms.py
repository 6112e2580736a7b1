"""One keeper after another, and the log under them: takeovers, zombies, restarts, wiped and truncated stores."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from nats.aio.client import Client

from consumers.keeper.epoch import settle_epoch
from deploy.local.server import Server
from events import Event, EventData
from events.codec import encode
from events.errors import BusUnavailableError, StoreUnavailableError
from events.ids import new_id
from producers.publisher import Encoded
from producers.topology import drift
from storage.keeper import KeeperStore, Position
from tests.support.accounting import assert_accounted
from tests.support.eventually import PATIENCE, eventually
from tests.support.proxy import proxied
from tests.support.running_keeper import (
    Bus,
    Led,
    a_bus,
    checked,
    decided,
    epoch,
    facts_of,
    finished,
    leading,
    named,
    started,
)

HAPPY = ["ready", "assigned", "running", "succeeded"]
FAILED = {"code": "agent_error", "message": "It failed.", "retryable": True}


@pytest.fixture
async def bus(module_nats_server: Server, database_url: str) -> AsyncGenerator[Bus]:
    async with a_bus(module_nats_server.url, database_url) as bus:
        yield bus
        await assert_accounted(database_url)


async def test_a_standby_takes_over_when_the_active_keeper_dies(bus: Bus) -> None:
    first = await leading(bus)
    second = await bus.keeper()
    cause = await bus.submit()
    await bus.enters(cause.taskid, "submitted")
    assert not second.leads
    await first.die()
    died = time.monotonic()
    await bus.run_through(cause)
    await bus.enters(cause.taskid, "succeeded")
    assert time.monotonic() - died < 3 * PATIENCE
    await bus.folded()
    assert await bus.states(cause.taskid) == HAPPY


async def test_a_dead_keepers_lease_ends_although_the_clock_was_set_back(bus: Bus) -> None:
    first = await leading(bus)
    await first.die()
    await bus.database.execute("UPDATE keeper SET until = clock_timestamp() + interval '1 hour'")
    second = await bus.keeper()
    await eventually(lambda: second.leads, within=3)


async def test_a_keeper_that_is_stopped_hands_over_at_once(bus: Bus) -> None:
    first = await leading(bus)
    second = await bus.keeper()
    await first.stop()
    stopped = time.monotonic()
    await eventually(lambda: second.leads)
    assert time.monotonic() - stopped < 1.5 * PATIENCE


async def test_who_has_no_bus_leaves_the_lead_to_one_who_has(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    """And does not take it again when that one goes, although it is the first to ask."""
    monkeypatch.setattr("consumers.keeper.term._WITHOUT_BUS", 0.3)
    async with proxied(bus.nats_url) as link:
        deaf = await bus.keeper(nats_url=link.url)
        await eventually(lambda: deaf.leads, within=15)
        second = await bus.keeper()
        link.refuses = True
        link.cut()
        await _leads_a_task_to_its_end(bus, second)
        await second.stop()
        await _leads_a_task_to_its_end(bus, await bus.keeper())
        link.refuses = False
        await eventually(lambda: deaf.client.is_connected)
        await deaf.stop()


async def test_who_cannot_begin_leaves_the_lead_to_one_who_can(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its line looks sound, but nothing that it asks the bus is answered."""
    asked: list[Client] = []

    async def unanswered(client: Client, store: KeeperStore, position: Position) -> Position:
        asked.append(client)
        if client is asked[0]:
            raise TimeoutError
        return await settle_epoch(client, store, position)

    monkeypatch.setattr("consumers.keeper.consumer.settle_epoch", unanswered)
    await bus.keeper()
    await eventually(lambda: asked)
    await _leads_a_task_to_its_end(bus, await bus.keeper())


async def _leads_a_task_to_its_end(bus: Bus, led: Led) -> None:
    cause = await bus.submit()
    await bus.run_through(cause)
    await bus.enters(cause.taskid, "succeeded", within=5)
    assert led.leads
    await bus.folded()


async def test_keepers_that_die_under_load_fold_everything_once(bus: Bus) -> None:
    keepers = [await bus.keeper() for _ in range(2)]
    causes = [await bus.submit(f"Task {number}") for number in range(60)]

    async def talk(about: Sequence[Event[EventData]]) -> None:
        for cause in about:
            await bus.run_through(cause)
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as talking:
        for portion in (causes[:20], causes[20:40]):
            position = await _position(bus)
            talking.create_task(talk(portion))
            await eventually(lambda: any(led.leads for led in keepers), within=15)
            await _moves_on(bus, position)
            active = next(led for led in keepers if led.leads)
            await active.die()
            keepers.remove(active)
            keepers.append(await bus.keeper())
        talking.create_task(talk(causes[40:]))
    await bus.folded()
    assert {await bus.status(cause.taskid) for cause in causes} == {"succeeded"}
    told = [event for _, event in await bus.stream() if event["source"] == "/keeper"]
    assert len({event["id"] for event in told}) == len(told) == 4 * len(causes)


async def _position(bus: Bus) -> int:
    return int(await bus.database.fetchval("SELECT position FROM keeper"))


async def _moves_on(bus: Bus, position: int) -> None:
    async def moved() -> bool:
        return await _position(bus) > position

    await eventually(moved, within=15)


async def test_a_zombie_publishes_and_writes_nothing(bus: Bus) -> None:
    zombie = await leading(bus)
    term = zombie.keeper.term
    assert term is not None
    term._lease._store.renew = _for_ever  # type: ignore[method-assign]  # as if the process had been paused there
    posted: list[str] = []

    async def post(items: Sequence[Encoded], *, atomic: bool = True) -> None:
        posted.extend(subject for subject, _, _ in items)

    zombie.publisher.post_all = post  # type: ignore[method-assign]  # to see what it would send
    heir = await bus.keeper()
    await eventually(lambda: heir.leads, within=15)
    cause = await bus.submit()
    await bus.run_through(cause)
    await bus.enters(cause.taskid, "succeeded")
    await bus.folded()
    assert await bus.states(cause.taskid) == HAPPY
    assert posted == []


async def _for_ever() -> None:
    await asyncio.Event().wait()


async def test_the_lease_is_kept_while_the_log_is_compared(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where that takes longer than the lease is for, two keepers would take it from each other for ever."""
    compared = asyncio.Event()

    async def slow(client: Client, store: KeeperStore, position: Position) -> Position:
        await compared.wait()
        return await settle_epoch(client, store, position)

    async def renewed_for_long() -> bool:
        return bool(await bus.database.fetchval("SELECT until > $1::timestamptz + interval '3 s' FROM keeper", taken))

    monkeypatch.setattr("consumers.keeper.consumer.settle_epoch", slow)
    first = await bus.keeper()
    taken = await eventually(lambda: bus.database.fetchval("SELECT until FROM keeper"), within=15)
    second = await bus.keeper()
    await eventually(renewed_for_long, within=15)
    compared.set()
    await eventually(lambda: first.leads, within=15)
    assert not second.leads


async def test_a_stale_lease_keeps_the_outbox_shut(bus: Bus) -> None:
    led = await leading(bus)
    term = led.keeper.term
    assert term is not None
    lease = term._lease
    assert lease.is_fresh
    lease._renewed -= 1.1
    assert not lease.is_fresh
    await eventually(lambda: lease.is_fresh)


async def test_what_was_committed_and_not_published_is_published_by_the_next_in_order(bus: Bus) -> None:
    first = await leading(bus)

    async def away(*_: object, **__: object) -> None:
        raise BusUnavailableError

    first.publisher.post_all = away  # type: ignore[method-assign]  # the commit happens, the publish does not
    causes = [await bus.submit(f"Task {number}") for number in range(5)]
    for cause in causes:
        await bus.run_through(cause)
    for cause in causes:
        await bus.enters(cause.taskid, "succeeded")
    assert await bus.database.fetchval("SELECT count(*) FROM outbox") == 20
    await first.die()
    assert [await bus.states(cause.taskid) for cause in causes] == [[]] * 5
    await bus.keeper()
    await bus.folded()
    order = await bus.database.fetch("SELECT id FROM event_log WHERE source = '/keeper' ORDER BY seq")
    told = [event["id"] for _, event in await bus.stream() if event["source"] == "/keeper"]
    assert [row["id"] for row in order] == told
    assert [await bus.states(cause.taskid) for cause in causes] == [HAPPY] * 5


async def test_a_re_send_that_postgres_did_only_after_it_was_given_up_costs_no_event(bus: Bus) -> None:
    """It stands where the next term puts what it leads to: that is no fault of the event that it would lead with."""
    await leading(bus)
    first = await bus.submit()
    await bus.enters(first.taskid, "submitted")
    late = first.model_copy(update={"id": str(new_id()), "source": "/keeper", "resendof": first.id})
    await bus.database.execute(
        "INSERT INTO outbox VALUES (1, $1, 'bus.t.task.submitted.0', $2)", str(late.id), encode(late)
    )
    await bus.run_through(first)
    await bus.enters(first.taskid, "succeeded")
    await bus.folded()
    assert [state for state in await bus.states(first.taskid) if state != "submitted"] == HAPPY


async def test_an_event_published_before_a_crash_is_not_announced_twice(bus: Bus) -> None:
    """The outbox row is still there although the event is in the log: reading it back must clear it."""
    first = await leading(bus)
    cause = await bus.submit()
    await bus.say(cause, checked(cause))
    await bus.enters(cause.taskid, "ready")
    await bus.folded()
    await first.stop()
    row = await bus.database.fetchrow("SELECT seq, id, body FROM event_log WHERE source = '/keeper'")
    assert row is not None
    place = await bus.database.fetchval("SELECT position FROM keeper")
    # As it is when the crash comes after the publish and before the read-back.
    await bus.database.execute("DELETE FROM event_log WHERE source = '/keeper'")
    await bus.database.execute("UPDATE keeper SET position = $1", row["seq"] - 1)
    await bus.database.execute("INSERT INTO outbox VALUES (1, $1, 'bus.t.task.ready.0', $2)", row["id"], row["body"])
    assert place == row["seq"]
    await bus.keeper()
    await bus.folded()
    assert await bus.states(cause.taskid) == ["ready"]


async def test_cut_database_connections_end_a_term_and_nothing_else(bus: Bus) -> None:
    await leading(bus)
    cause = await bus.submit()
    await bus.enters(cause.taskid, "submitted")
    await bus.database.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid()"
    )
    await bus.run_through(cause)
    await bus.enters(cause.taskid, "succeeded")
    await bus.folded()
    assert await bus.states(cause.taskid) == HAPPY


async def test_a_keeper_can_be_stopped_while_the_database_is_away(bus: Bus) -> None:
    led = await leading(bus)
    term = led.keeper.term
    assert term is not None

    async def away() -> None:
        raise StoreUnavailableError

    term._lease._store.release = away  # type: ignore[method-assign]  # the one thing it does with the database on its way out
    led.task.cancel()
    done, _ = await asyncio.wait({led.task}, timeout=5)
    assert done


async def test_the_bus_may_be_killed_and_come_back(bus: Bus, module_nats_server: Server) -> None:
    await leading(bus)
    before = await epoch(bus)
    cause = await bus.submit()
    await bus.say(cause, checked(cause))
    await bus.folded()
    await module_nats_server.kill()
    await module_nats_server.start()
    await eventually(lambda: bus.client.is_connected, within=15)
    for data in facts_of(cause)[1:]:
        await bus.say(cause, data)
    await bus.enters(cause.taskid, "succeeded")
    await bus.folded()
    assert await epoch(bus) == before
    assert await bus.states(cause.taskid) == HAPPY
    assert await drift(bus.client) == [], "the streams that are kept in memory are there again"


async def test_what_is_due_happens(bus: Bus) -> None:
    await leading(bus)
    soon = datetime.now(UTC) + timedelta(seconds=1)
    late, failing = await bus.submit("late", deadline_at=soon), await bus.submit("failing")
    for data in (checked(failing), decided(failing), started(failing)):
        await bus.say(failing, data)
    await bus.say(failing, finished(failing, "failed", error=FAILED))
    await bus.enters(failing.taskid, "waiting")
    await bus.enters(failing.taskid, "ready")
    await bus.enters(late.taskid, "timed_out")
    row = await bus.database.fetchrow("SELECT attempt, reason, run_id FROM task WHERE id = $1", failing.taskid)
    assert row is not None
    assert tuple(row) == (2, "retry", None)
    await bus.say(failing, decided(failing, 2), seed="second attempt")
    await bus.enters(failing.taskid, "assigned")
    assert (
        await bus.database.fetchval("SELECT run_id FROM task WHERE status = 'assigned'") == named(failing, 2)["run_id"]
    )
    await bus.folded()
