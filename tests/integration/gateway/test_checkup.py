"""What /readyz?verbose finds, and that it finds it: each thing is broken once."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import cast

import httpx
import pytest
from pydantic import SecretStr

from deploy.local.ports import free_port
from deploy.local.server import Server
from events.streams import BUS, DURABLES, MIB
from gateway import commits
from gateway.operations.checkup import clock
from producers.checkup import BusState
from producers.pull import Pull
from producers.topology import TopologySettings, apply
from storage.checkup import DatabaseState
from storage.verdicts import CacheSettings
from tests.support.eventually import eventually
from tests.support.running_gateway import RunningGateway, running_gateway, settings_for
from tests.support.running_keeper import Bus, Led, a_bus

Found = dict[str, dict[str, object]]
CALM = {"durability", "clock", "log", "topology", "consumers", "dead_letters", "schema", "gaps", "sweep"}


@pytest.fixture
async def bus(module_nats_server: Server, database_url: str) -> AsyncGenerator[Bus]:
    async with a_bus(module_nats_server.url, database_url) as bus:
        yield bus


@pytest.fixture
async def led(bus: Bus) -> Led:
    return await bus.keeper()


@pytest.fixture
async def gateway(bus: Bus, led: Led) -> AsyncGenerator[RunningGateway]:
    async with running_gateway(settings_for(bus.nats_url, bus.database_url)) as running:
        yield running


@asynccontextmanager
async def readers(bus: Bus, *, without: str | None = None) -> AsyncGenerator[None]:
    """Somebody asks for the messages of every durable."""
    for durable in DURABLES:
        if durable.name != without:
            await bus.opened.enter_async_context(Pull(bus.client, durable.stream, durable.name, window=1))
    yield


async def found(gateway: RunningGateway) -> tuple[str, Found]:
    async with gateway.client("") as client:
        answer = await client.get("/readyz?verbose")
        assert answer.status_code == httpx.codes.OK, answer.text
        return answer.json()["status"], cast("Found", answer.json()["checks"])


async def becomes(gateway: RunningGateway, name: str, level: str) -> dict[str, object]:
    """The check of this name, as soon as it is at this level."""

    async def look() -> dict[str, object] | None:
        checks = (await found(gateway))[1]
        return checks[name] if name in checks and checks[name]["level"] == level else None

    check = await eventually(look, within=10, every=0.2)
    assert check is not None
    return check


async def ready(gateway: RunningGateway) -> None:
    async def is_ready() -> bool:
        async with gateway.client("") as client:
            return (await client.get("/readyz")).status_code == httpx.codes.OK

    await eventually(is_ready, within=10)


async def test_a_whole_stack_is_ready_and_says_how_safe_it_is(bus: Bus, gateway: RunningGateway) -> None:
    await ready(gateway)
    async with readers(bus):
        await becomes(gateway, "consumers", "ok")
        status, checks = await found(gateway)
    assert status == "ready"
    assert {name for name, check in checks.items() if check.get("level") == "ok"} == CALM
    assert all(check.get("advice") is None for check in checks.values())
    assert "fsync on, synchronous_commit on" in str(checks["durability"]["detail"])
    assert "one server, fsync 100ms" in str(checks["durability"]["detail"])


async def test_the_readiness_of_the_first_document_says_whether_somebody_screens(
    bus: Bus, gateway: RunningGateway
) -> None:
    await ready(gateway)

    async def said(*, screened: bool) -> bool:
        await found(gateway)
        async with gateway.client("") as client:
            answer = await client.get("/ready")
        checks = {"database": True, "bus": True, "keeper": True, "reflex_layer": screened}
        assert (answer.status_code, answer.json()["ready"], answer.json()["checks"]) == (200, True, checks)
        return True

    async with readers(bus, without="reflex"):
        await becomes(gateway, "consumers", "fail")
        await eventually(partial(said, screened=False), within=10, every=0.2)
        await bus.opened.enter_async_context(Pull(bus.client, BUS.name, "reflex", window=1))
        await eventually(partial(said, screened=True), within=10, every=0.2)


async def test_a_consumer_nobody_reads_and_a_paused_one_are_named(bus: Bus, gateway: RunningGateway) -> None:
    await ready(gateway)
    async with readers(bus, without="router"):
        check = await becomes(gateway, "consumers", "fail")
        assert str(check["detail"]).startswith("router has no reader")
        assert "python -m consumers" in str(check["advice"])
        await bus.client.jetstream().pause_consumer(BUS.name, "router", _in_a_minute())

        async def is_paused() -> bool:
            return "router is paused" in str((await found(gateway))[1]["consumers"]["detail"])

        await eventually(is_paused, within=5, every=0.2)
        assert (await found(gateway))[0] == "degraded"
        async with gateway.client("") as client:
            short = await client.get("/readyz")
            assert (short.status_code, short.json()) == (200, {"status": "degraded"})


async def test_a_missing_consumer_a_letter_and_a_gap_are_named(bus: Bus, gateway: RunningGateway) -> None:
    await ready(gateway)
    await bus.client.jetstream().delete_consumer(BUS.name, "router")
    assert "consumer router is missing" in str((await becomes(gateway, "topology", "fail"))["detail"])
    await (await bus.publisher.send_bytes("bus.t.task.submitted.0", b"{", "garbage"))
    assert "ganglion dlq ls" in str((await becomes(gateway, "dead_letters", "warn"))["advice"])
    epoch = await bus.database.fetchval("SELECT epoch FROM keeper")
    await bus.database.execute("INSERT INTO event_gap VALUES ($1, 5, 9, now())", epoch)
    assert str((await becomes(gateway, "gaps", "warn"))["detail"]).startswith("5 sequences")


async def test_a_valkey_that_is_away_is_named(bus: Bus, led: Led, redis_url: str) -> None:
    assert led.leads or await eventually(lambda: led.leads)
    settings = settings_for(bus.nats_url, bus.database_url)
    nowhere = f"redis://127.0.0.1:{free_port()}/0"
    for url, level in ((redis_url, "ok"), (nowhere, "fail")):
        with_cache = replace(settings, cache=CacheSettings(redis_url=SecretStr(url)))
        async with running_gateway(with_cache) as gateway:
            await ready(gateway)
            check = await becomes(gateway, "valkey", level)
            status, _ = await found(gateway)
    assert status == "degraded"
    assert "REDIS_URL" in str(check["advice"])


async def test_weak_commits_and_an_old_schema_are_named(bus: Bus, gateway: RunningGateway) -> None:
    await ready(gateway)
    await bus.database.execute("UPDATE alembic_version SET version_num = '0001'")
    assert "the database is at 0001" in str((await becomes(gateway, "schema", "fail"))["detail"])
    name = await bus.database.fetchval("SELECT current_database()")
    await bus.database.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    await bus.database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ganglion'"
    )
    check = await becomes(gateway, "durability", "fail")
    assert str(check["advice"]) == "set synchronous_commit to on in Postgres"


async def test_a_filling_log_is_named_before_it_is_full(
    bus: Bus, gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ready(gateway)
    monkeypatch.setenv("GANGLION_LOG_MAX_BYTES", str(MIB))
    await apply(bus.client, TopologySettings())
    body = b'{"specversion":"1.0","type":"x","data":"' + b"x" * 100_000 + b'"}'
    for number in range(7):
        await (await bus.publisher.send_bytes("bus.t.system.noise.0", body, f"noise {number}"))
    assert str((await becomes(gateway, "log", "warn"))["detail"]).endswith("(67%)")


async def test_re_sends_of_the_sweep_are_shown(bus: Bus, gateway: RunningGateway, led: Led) -> None:
    await ready(gateway)
    cause = await bus.submit()
    await bus.folded()
    assert led.keeper.term is not None
    await led.keeper.term._send_resent([cause.model_copy(update={"id": "again", "source": "/keeper"})])
    assert str((await becomes(gateway, "sweep", "warn"))["detail"]).startswith("1 events")


async def test_a_keeper_that_says_nothing_is_named_although_nothing_waits_for_it(
    gateway: RunningGateway, led: Led, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commits, "_SILENT_AFTER", 0.5)
    await ready(gateway)
    await led.stop()

    async def is_missed() -> bool:
        status, checks = await found(gateway)
        return status == "degraded" and "no keeper was heard for" in str(checks["keeper"].get("detail"))

    await eventually(is_missed, within=5, every=0.2)


def test_clocks_that_disagree_are_named() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    settings = dict.fromkeys(("fsync", "synchronous_commit", "full_page_writes"), "on")
    bus = BusState(now + timedelta(seconds=2), 0, 0, 1, (), 0)
    database = DatabaseState(settings, now, 0, None, 0)
    assert clock((bus, now), (database, now)).level == "fail"
    assert clock((bus, now + timedelta(seconds=2)), (database, now)).level == "ok"


def _in_a_minute() -> str:
    return (datetime.now(UTC) + timedelta(minutes=1)).isoformat().replace("+00:00", "Z")
