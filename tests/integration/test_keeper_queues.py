"""Many tasks that wait for one another cost the keeper little more than as many that do not."""

from collections.abc import AsyncGenerator
from uuid import UUID

import pytest

from consumers.keeper import family, term
from consumers.keeper.fold import Fold
from consumers.keeper.rebuild import rebuild
from consumers.keeper.world import World
from deploy.local.server import Server
from events import TaskControl
from storage.keeper import Changes, KeeperStore, Position
from tests.support.eventually import eventually
from tests.support.running_keeper import Bus, a_bus, checked

MANY = 200


@pytest.fixture
async def bus(module_nats_server: Server, database_url: str) -> AsyncGenerator[Bus]:
    async with a_bus(module_nats_server.url, database_url) as bus:
        yield bus


@pytest.mark.parametrize("shape", ["queue", "queue in parts", "crowd"])
async def test_who_waits_for_others_is_not_folded_once_for_each_of_them(
    bus: Bus, shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waits for the one before it, or all of them for the first; an end may concern too many for one commit."""
    if shape == "queue in parts":
        monkeypatch.setattr(family, "AT_ONCE", 100)
    foldings: list[Fold] = []

    def counted(epoch: str, world: World, next_outbox: int, known: set[tuple[str, str]]) -> Fold:
        foldings.append(Fold(epoch, world, next_outbox, known))
        return foldings[-1]

    monkeypatch.setattr(term, "Fold", counted)
    first = await bus.submit()
    before: UUID | None = first.taskid
    for _ in range(MANY):
        cause = await bus.submit(depends_on=[{"task_id": before}])
        await bus.say(cause, checked(cause))
        before = cause.taskid if shape != "crowd" else before
    led = await bus.keeper()
    await _are(bus, "waiting")
    assert first.taskid is not None
    await bus.say(first, TaskControl(task_id=first.taskid, action="cancel", by="o"))
    await _are(bus, "skipped")
    await bus.folded()
    assert len(foldings) < MANY / 5
    await led.stop()
    report = await rebuild(bus.database_url, swap=False)
    assert report.same, report


async def _are(bus: Bus, status: str) -> None:
    async def all_are() -> bool:
        found = await bus.database.fetchval("SELECT count(*) FROM task WHERE status = $1", status)
        assert found == MANY, found
        return True

    await eventually(all_are, within=30)


async def test_what_a_batch_leads_to_is_committed_in_parts_if_it_is_much(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    write = KeeperStore.write

    async def counted(store: KeeperStore, changes: Changes, was: Position, now: Position) -> None:
        sent.append(len(changes.of("sent")))
        await write(store, changes, was, now)

    monkeypatch.setattr(KeeperStore, "write", counted)
    monkeypatch.setattr(term, "_LED_TO", 20)
    causes = [await bus.submit() for _ in range(100)]
    for cause in causes:
        assert cause.taskid is not None
        await bus.say(cause, TaskControl(task_id=cause.taskid, action="cancel", by="o"))
    await bus.keeper()
    await bus.folded()
    assert sum(sent) == len(causes)
    assert max(sent) <= 20
    assert await bus.database.fetchval("SELECT count(*) FROM task WHERE status = 'cancelled'") == len(causes)
