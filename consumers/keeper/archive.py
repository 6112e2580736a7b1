"""Take what is over out of the log into a file, or put it back: `python -m consumers.keeper.archive`.

A keeper folds on meanwhile. Whatever interrupts it, the same command goes on: nothing leaves the log before the file
that holds it is whole, on the disk, and noted in the database.
"""

import argparse
import asyncio
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
from nats.aio.client import Client
from nats.errors import Error as NatsError

from consumers.keeper import archive_file
from consumers.keeper.archive_file import ArchiveFileError, Written
from events.cursor import Cursor
from events.errors import BusUnavailableError, GanglionError, PermanentError
from events.ids import new_id
from events.process import configure_logs
from events.settings import settings_explained
from events.streams import BUS
from producers.connect import BusSettings, Connection
from producers.letters import LetterBox
from producers.permissions import ADMIN
from storage.archive import ArchiveStore, Bounds, Note
from storage.database import DatabaseSettings

KEPT_DAYS = 8
"""A day longer than the stream keeps its events: what is in it may come again, and must be known then."""
KEPT_ROWS = 10_000
"""The newest of the log stay, however old they are: a keeper compares its log with them."""

_ASKED_WITHIN = 20.0
"""Seconds, for NATS to say what it still holds: its dead letters may be many."""


class ArchiveRefusedError(PermanentError):
    """It cannot be archived like that."""

    code = "archive_refused"


@dataclass(frozen=True, slots=True)
class Report:
    """What went or came back: how many rows, the bytes of their events, and what the file is known by."""

    file: str | None
    rows: int
    bytes: int
    sha256: str | None = None
    dry_run: bool = False


async def bounds(
    store: ArchiveStore, client: Client, before: datetime, *, days: float = KEPT_DAYS, rows: int = KEPT_ROWS
) -> Bounds:
    """What may go now. Raises ArchiveRefusedError for a date that is too late, BusUnavailableError."""
    latest = await store.now() - timedelta(days=days)
    if before > latest:
        raise ArchiveRefusedError(f"What is younger than {days:g} days stays: --before may be {latest.date()} at most.")
    kept_from, since = await _kept(client)
    position = await store.position()
    letters = frozenset([one.letter.task_id async for one in LetterBox(client).all() if one.letter.task_id])
    until = Cursor(position.epoch, position.seq - rows)
    return Bounds(min(before, since or before), position.epoch, kept_from, until, letters)


async def _kept(client: Client) -> tuple[int, datetime | None]:
    """The first sequence that the stream holds or will hold, and when it was written; that tells older epochs' too."""
    js = client.jetstream()
    try:
        state = (await js.stream_info(BUS.name)).state
        first = await js.get_msg(BUS.name, seq=state.first_seq) if state.messages else None
    except (NatsError, TimeoutError, OSError) as error:
        raise BusUnavailableError from error
    return (state.last_seq + 1, None) if first is None else (state.first_seq, first.time)


async def look(store: ArchiveStore, limits: Bounds) -> Report:
    """How much would go."""
    rows = size = 0
    async for page in store.pages(limits):
        rows, size = rows + len(page), size + sum(len(row.body) for row in page)
    return Report(None, rows, size, dry_run=True)


async def archive(store: ArchiveStore, limits: Bounds, path: Path) -> Report:
    """Write, verify, note, remove; or go on with the file that an earlier try has written.

    Raises ArchiveRefusedError for a file that is there already, ArchiveFileError.
    """
    partial = path.with_name(f"{path.name}.partial")
    note = await _unfinished(store, path, partial)
    if note is None:
        written = await archive_file.write(partial, store.pages(limits))
        if written is None:
            return Report(None, 0, 0)
        note = _note_of(written, path, limits, await store.now())
        await store.note(note)
    archive_file.keep(partial, path)
    return await remove(store, note, path)


async def remove(store: ArchiveStore, note: Note, path: Path) -> Report:
    """Take out of the log what is in the file, as it was noted. Raises ArchiveFileError."""
    rows = size = 0
    for portion in archive_file.portions(path):
        await store.remove(note, portion)
        rows, size = rows + len(portion), size + sum(len(row.body) for row in portion)
    if rows != note.rows:
        raise ArchiveFileError
    await store.removed(note)
    return Report(str(path), rows, size, note.sha256)


async def restore(store: ArchiveStore, path: Path) -> Report:
    """Put back what is in the file, and compare it. Raises ArchiveRefusedError, ArchiveFileError."""
    sha256 = archive_file.digest(path)
    note = await store.noted(sha256) if sha256 is not None else None
    if note is None:
        raise ArchiveRefusedError(f"{path} is not, to the byte, an archive of this database that is not restored yet.")
    rows = size = 0
    for portion in archive_file.portions(path):
        if await store.put_back(portion) != len(portion):
            raise ArchiveRefusedError(
                "The log has other events in places, or under ids, of the file's; nothing was lost."
            )
        rows, size = rows + len(portion), size + sum(len(row.body) for row in portion)
    if rows != note.rows:
        raise ArchiveFileError
    await store.restored(note)
    return Report(str(path), rows, size, sha256)


async def _unfinished(store: ArchiveStore, path: Path, partial: Path) -> Note | None:
    """The archive that an earlier try with this file began, if it did. Raises ArchiveRefusedError."""
    there, begun = archive_file.digest(path), archive_file.digest(partial)
    if there is None:
        return await store.noted(begun) if begun is not None else None
    note = await store.noted(there)
    if note is None:
        raise ArchiveRefusedError(f"{path} is there already: name a file that is not.")
    if note.removed_at is not None:
        raise ArchiveRefusedError(f"{path} is there already, and what it holds is out of the log: all was done.")
    return note


def _note_of(written: Written, path: Path, limits: Bounds, now: datetime) -> Note:
    first, last = written.first, written.last
    places = (first.epoch, first.seq, last.epoch, last.seq)
    return Note(new_id(), str(path), written.sha256, written.rows, limits.before, *places, written_at=now)


async def _bounds(store: ArchiveStore, bus: BusSettings, before: datetime) -> Bounds:
    try:
        async with asyncio.timeout(_ASKED_WITHIN), Connection(bus, ADMIN) as client:
            return await bounds(store, client, before)
    except (NatsError, TimeoutError, OSError) as error:
        raise BusUnavailableError("NATS_URL: NATS does not say what the stream still holds.") from error


async def _run(given: argparse.Namespace) -> Report | dict[str, list[Note]]:
    bus, dsn = BusSettings(), DatabaseSettings().dsn
    async with ArchiveStore.open(dsn) as store:
        if given.restore is not None:
            return await restore(store, given.restore)
        if given.before is None:
            return {"archives": await store.notes()}
        limits = await _bounds(store, bus, given.before)
        return await (look(store, limits) if given.dry_run else archive(store, limits, given.to))


def main() -> None:
    """Archive, restore or list, and print what was done as JSON; exit 1 if it was not."""
    parser = argparse.ArgumentParser(prog="archive", description=__doc__)
    parser.add_argument("--before", type=_moment)
    parser.add_argument("--to", type=Path)
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--restore", type=Path)
    given = parser.parse_args()
    configure_logs()
    try:
        with settings_explained():
            said = asyncio.run(_run(given))
    except GanglionError as error:
        sys.exit(f"error: {error} [{error.code}]")
    except OSError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.stderr.write("interrupted: nothing is lost, the same command goes on\n")
        sys.exit(130)
    told = asdict(said) if isinstance(said, Report) else dict(said)
    told = {name: value for name, value in told.items() if value is not None and value is not False}
    # `default`: the driver's ids are no plain UUID.
    sys.stdout.write(orjson.dumps(told, option=orjson.OPT_INDENT_2, default=str).decode() + "\n")


def _moment(text: str) -> datetime:
    """A date, or a moment, in UTC unless it says otherwise."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


if __name__ == "__main__":
    main()
