"""What is over goes into a file and comes back to the byte; what is open, or may be asked for again, stays."""

import gzip
import os
from collections.abc import AsyncGenerator, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from consumers.keeper import archive_file
from consumers.keeper.archive import ArchiveRefusedError, Report, archive, bounds, look, restore
from consumers.keeper.archive_file import ArchiveFileError
from consumers.keeper.rebuild import rebuild
from deploy.local.server import Server
from events import Event, EventData
from events.errors import HistoryArchivedError
from storage.archive import ArchiveBusyError, ArchiveStore, Bounds
from storage.parts import LOG_COLUMNS
from tests.integration.test_keeper_rebuild import eventful
from tests.support.running_keeper import Bus, a_bus, checked, finished

LogRows = list[tuple[object, ...]]


@pytest.fixture
async def bus(module_nats_server: Server, database_url: str) -> AsyncGenerator[Bus]:
    async with a_bus(module_nats_server.url, database_url) as bus:
        yield bus


@pytest.fixture
async def store(bus: Bus) -> AsyncGenerator[ArchiveStore]:
    async with ArchiveStore.open(bus.database_url) as store:
        yield store


async def now(bus: Bus, store: ArchiveStore, *, rows: int = 0) -> Bounds:
    """All that has been until now may go, whatever its age."""
    return await bounds(store, bus.client, datetime.now(UTC) + timedelta(hours=1), days=-1, rows=rows)


async def log(bus: Bus) -> LogRows:
    rows = f"SELECT {', '.join(LOG_COLUMNS)} FROM event_log ORDER BY epoch, seq"  # noqa: S608 - our own names
    return [plain(row) for row in await bus.database.fetch(rows)]


def plain(row: Iterable[object]) -> tuple[object, ...]:
    """The driver's ids have a hash of their own."""
    return tuple(str(value) if isinstance(value, UUID) else value for value in row)


def held(path: Path) -> LogRows:
    """What is in a file."""
    return [plain(row) for portion in archive_file.portions(path) for row in portion]


def names(folder: Path) -> list[str]:
    return [one.name for one in folder.iterdir()]


async def forgotten(bus: Bus) -> None:
    """The stream has let go of all that was folded."""
    await bus.client.jetstream().purge_stream("BUS")


async def over(bus: Bus, count: int = 2) -> list[Event[EventData]]:
    """Tasks that have succeeded, folded by a keeper that is gone, and no longer in the stream."""
    led = await bus.keeper()
    events = [await bus.submit() for _ in range(count)]
    for event in events:
        await bus.run_through(event)
    await bus.folded()
    await led.stop()
    await forgotten(bus)
    return events


async def test_what_is_over_goes_and_comes_back_to_the_byte(bus: Bus, store: ArchiveStore, tmp_path: Path) -> None:
    await eventful(bus)
    await forgotten(bus)
    before, path = await log(bus), tmp_path / "log.jsonl.gz"
    limits = await now(bus, store)
    foreseen = await look(store, limits)
    done = await archive(store, limits, path)
    after = await log(bus)
    assert (foreseen.rows, foreseen.bytes) == (done.rows, done.bytes) == (len(before) - len(after), done.bytes)
    went = held(path)
    assert {*after, *went} == set(before)
    stays = {str(row["id"]) for row in await bus.database.fetch("SELECT id FROM task WHERE finished_at IS NULL")}
    assert went
    assert limits.letters
    assert not {row[LOG_COLUMNS.index("task_id")] for row in went} & (stays | {str(one) for one in limits.letters})
    assert {row[LOG_COLUMNS.index("source")] for row in went} <= {"/keeper", "/consumers/test"}
    assert path.stat().st_mode & 0o777 == 0o600
    await store_is_closed(bus, store)
    for swap in (False, True):
        with pytest.raises(HistoryArchivedError, match=r"log\.jsonl\.gz"):
            await rebuild(bus.database_url, swap=swap)
    async with ArchiveStore.open(bus.database_url) as again:
        assert (await restore(again, path)).rows == done.rows
        with pytest.raises(ArchiveRefusedError, match="not restored yet"):
            await restore(again, path)
    assert await log(bus) == before
    assert not await bus.database.fetchval("SELECT count(*) FROM archived_task")
    assert (report := await rebuild(bus.database_url, swap=False)).same, report


async def store_is_closed(bus: Bus, store: ArchiveStore) -> None:
    """A rebuild waits for no archive: it is refused while one is at work."""
    with pytest.raises(ArchiveBusyError):
        await rebuild(bus.database_url)
    with pytest.raises(ArchiveBusyError):
        async with ArchiveStore.open(bus.database_url):
            pass
    await store._connection.close()


async def test_what_is_in_the_stream_or_among_the_newest_stays(bus: Bus, store: ArchiveStore, tmp_path: Path) -> None:
    led = await bus.keeper()
    await bus.run_through(await bus.submit())
    await bus.folded()
    await led.stop()
    assert (await look(store, await now(bus, store))).rows == 0
    await bus.database.execute("UPDATE keeper SET epoch = 'z', position = 0")
    assert (await look(store, await now(bus, store))).rows == 0, "an older epoch's events lie in the stream as well"
    await bus.database.execute(
        "UPDATE keeper SET (epoch, position) = (SELECT epoch, max(seq) FROM event_log GROUP BY 1)"
    )
    await forgotten(bus)
    assert (await look(store, await now(bus, store, rows=10_000))).rows == 0
    assert await archive(store, await now(bus, store, rows=10_000), tmp_path / "none") == Report(None, 0, 0)
    assert names(tmp_path) == []
    assert (await look(store, await now(bus, store))).rows > 0


async def test_a_date_that_is_too_late_is_refused(bus: Bus, store: ArchiveStore) -> None:
    week = datetime.now(UTC) - timedelta(days=7)
    with pytest.raises(ArchiveRefusedError, match="younger than 8 days"):
        await bounds(store, bus.client, week)
    old = await bounds(store, bus.client, week - timedelta(days=2))
    assert old.until.seq == -10_000


async def test_what_open_work_has_to_do_with_stays(bus: Bus, store: ArchiveStore) -> None:
    led = await bus.keeper()
    needed, alone, spoken, parent, proposing = [await bus.submit() for _ in range(5)]
    for event in (needed, alone, spoken, parent, proposing):
        await bus.run_through(event)
    await bus.folded()
    waiting = await bus.submit(hold=True, depends_on=[{"task_id": needed.taskid, "type": "finish_to_start"}])
    said, child = await bus.submit(hold=True), await bus.submit(hold=True)
    await bus.folded()
    await led.stop()
    await forgotten(bus)
    execute = bus.database.execute
    await execute("UPDATE task SET session_id = 's' WHERE id = ANY($1::uuid[])", [spoken.taskid, said.taskid])
    await execute("UPDATE task SET root_id = $1, parent_id = $1 WHERE id = $2", parent.taskid, child.taskid)
    await propose(bus, proposing.taskid, "pending")
    limits = await now(bus, store)
    assert {str(row.task_id) async for page in store.pages(limits) for row in page} == {str(alone.taskid)}
    driving = (
        "UPDATE task SET driving_id = (SELECT id FROM event_log WHERE task_id = $1 AND source = '/keeper' LIMIT 1)"
    )
    await execute(f"{driving} WHERE id = $2", alone.taskid, waiting.taskid)
    driven = await bus.database.fetchval("SELECT driving_id FROM task WHERE id = $1", waiting.taskid)
    assert driven not in await going(store, limits)


async def test_what_is_younger_or_read_again_stays(bus: Bus, store: ArchiveStore) -> None:
    first, other = await over(bus)
    limits = await now(bus, store)
    change = bus.database.execute
    kinds = ("route.decided", "run.started", "run.finished")
    planned, late, driving = [
        await bus.database.fetchval(
            "SELECT id FROM event_log WHERE task_id = $1 AND type LIKE $2", first.taskid, f"%.{kind}.%"
        )
        for kind in kinds
    ]
    await change("UPDATE event_log SET source = '/consumers/planner' WHERE id = $1", planned)
    await change("UPDATE event_log SET time = now() + interval '2 h' WHERE id = $1", late)
    await propose(bus, other.taskid, "extracting", driving)
    assert {planned, late, driving}.isdisjoint(went := await going(store, limits))
    assert went
    await change("UPDATE task SET finished_at = now() + interval '2 h'")
    assert await going(store, limits) == set()


async def going(store: ArchiveStore, limits: Bounds) -> set[str]:
    """The events that may go."""
    return {row.id async for page in store.pages(limits) for row in page}


async def propose(bus: Bus, task_id: UUID | None, status: str, driving: str | None = None) -> None:
    """A proposal of which no event tells."""
    await bus.database.execute(
        "INSERT INTO proposal (id, task_id, workflow_id, tenant, owner, created_at, base_version, base_files, status,"
        " version, parts, updated_at, driving_id) VALUES (gen_random_uuid(), $1, gen_random_uuid(), 't', 'o', now(), 0,"
        " '{}', $2, 1, '{}', now(), $3)",
        *(task_id, status, driving),
    )


@pytest.mark.parametrize(
    ("end", "done"),
    [
        ("store.note", False),
        ("file.keep", False),
        ("file.keep", True),
        ("store.remove", True),
        ("store.removed", False),
    ],
)
async def test_who_is_interrupted_goes_on(
    bus: Bus, store: ArchiveStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, *, done: bool
) -> None:
    await over(bus)
    before, path, limits = await log(bus), tmp_path / "log.jsonl.gz", await now(bus, store)
    monkeypatch.setattr(archive_file, "_PORTION_ROWS", 3)
    where, name = end.split(".")
    target = archive_file if where == "file" else store
    killed(monkeypatch, target, name, done=done)
    with pytest.raises(KeyboardInterrupt):
        await archive(store, limits, path)
    monkeypatch.undo()
    kept = await log(bus)
    if len(kept) < len(before):
        assert set(before) <= {*kept, *held(path)}
    assert (await archive(store, limits, path)).rows == len(before) - len(await log(bus)) > 0
    assert names(tmp_path) == [path.name]
    with pytest.raises(ArchiveRefusedError, match="all was done"):
        await archive(store, limits, path)
    with pytest.raises(ArchiveRefusedError, match="name a file that is not"):
        await archive(store, limits, Path(__file__))
    first = path.read_bytes()
    await restore(store, path)
    assert await log(bus) == before
    await archive(store, limits, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == first


def killed(monkeypatch: pytest.MonkeyPatch, target: object, name: str, *, done: bool) -> None:
    """The process ends at this call, before or after it was `done`."""
    real = getattr(target, name)

    async def later(*given: object) -> None:
        if done:
            await real(*given)
        raise KeyboardInterrupt

    def at_once(*given: object) -> None:
        if done:
            real(*given)
        raise KeyboardInterrupt

    monkeypatch.setattr(target, name, at_once if name == "keep" else later)


async def test_a_file_that_was_changed_is_not_put_back(bus: Bus, store: ArchiveStore, tmp_path: Path) -> None:
    await over(bus)
    path = tmp_path / "log.jsonl.gz"
    await archive(store, await now(bus, store), path)
    kept = path.read_bytes()
    path.write_bytes(gzip.compress(gzip.decompress(kept).replace(b"task.succeeded", b"task.cancelled")))
    with pytest.raises(ArchiveRefusedError, match="to the byte"):
        await restore(store, path)
    path.write_bytes(kept[:-20])
    with pytest.raises(ArchiveFileError):
        list(archive_file.portions(path))


async def test_a_file_that_the_disk_changed_removes_nothing(
    bus: Bus, store: ArchiveStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await over(bus)
    before, path = await log(bus), tmp_path / "log.jsonl.gz"
    monkeypatch.setattr(os, "fsync", lambda _: (tmp_path / "log.jsonl.gz.partial").write_bytes(b""))
    with pytest.raises(ArchiveFileError):
        await archive(store, await now(bus, store), path)
    assert await log(bus) == before
    assert await store.notes() == []


async def test_what_comes_again_changes_nothing(bus: Bus, store: ArchiveStore, tmp_path: Path) -> None:
    """Who asks again is answered as before, and facts that come out of nowhere are those of a task that has ended."""
    event, _ = await over(bus)
    row = await bus.database.fetchrow("SELECT * FROM task WHERE id = $1", event.taskid)
    await archive(store, await now(bus, store), tmp_path / "log.jsonl.gz")
    led = await bus.keeper()
    await bus.again(event)
    late = [await bus.say(event, fact, seed="again") for fact in (checked(event), finished(event))]
    await bus.folded()
    await led.stop()
    assert await bus.database.fetchval("SELECT count(*) FROM event_repeat WHERE id = $1", event.id) == 1
    assert {str(await bus.outcome(one)).partition(":")[0] for one in late} == {"refused"}
    assert await bus.database.fetchrow("SELECT * FROM task WHERE id = $1", event.taskid) == row
