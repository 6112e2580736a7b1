"""Taking what is over out of `event_log`, and putting it back (adr 0025).

Each statement is a transaction of its own and short: a keeper works on beside it. Every method raises
StoreUnavailableError when the database is away.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg

from events.cursor import Cursor
from events.errors import HistoryArchivedError, PermanentError
from storage.faults import hang_up, store_faults
from storage.models import ARCHIVED, archive, event_log
from storage.parts import LOG_COLUMNS
from storage.portion import PORTION, portion
from storage.unnest import Rows, columns_of

_WINDOW_ROWS = 2_000
_SESSION = {"application_name": "ganglion-archive", "jit": "off", "plan_cache_mode": "force_custom_plan"}
_LOCK = 6_012_584_413
"""Of the database: nobody folds the log anew while rows leave it or come back."""

# What parts of ours said of a task. What came from outside stays: its id answers whoever asks again with the same key,
# and so does the planner's word.
_OF_OURS = f"""
split_part(l.type, '.', 3) IN ('{"', '".join(ARCHIVED)}') AND l.source <> '/consumers/planner'
AND (l.source = '/keeper' OR l.source LIKE '/consumers/%' OR l.source LIKE '/janitor%')"""
_OVER = """
NOT EXISTS (SELECT FROM open o WHERE o.root = coalesce(t.root_id, t.parent_id, t.id))
AND NOT EXISTS (SELECT FROM open o WHERE o.session_id = t.session_id)
AND NOT EXISTS (SELECT FROM needed n WHERE n.id = t.id)
AND NOT EXISTS (SELECT FROM undecided p WHERE p.task_id = t.id)
AND NOT EXISTS (SELECT FROM open o WHERE o.driving_id = l.id)
AND NOT EXISTS (SELECT FROM undecided p WHERE p.driving_id = l.id)"""
_PAGE = portion(
    ", ".join(LOG_COLUMNS),
    f"""WITH open AS MATERIALIZED (
      SELECT coalesce(root_id, parent_id, id) AS root, session_id, driving_id, spec->'depends_on' AS depends_on
      FROM task WHERE finished_at IS NULL),
    needed AS MATERIALIZED (
      SELECT (link->>'task_id')::uuid AS id FROM open, jsonb_array_elements(
        CASE WHEN jsonb_typeof(depends_on) = 'array' THEN depends_on ELSE '[]' END) AS link),
    undecided AS MATERIALIZED (
      SELECT task_id, driving_id FROM proposal WHERE status IN ('extracting', 'pending'))
    SELECT l.* FROM (
      SELECT * FROM event_log WHERE (epoch, seq) > ($1, $2) AND (epoch, seq) <= ($3, $4)
      ORDER BY epoch, seq LIMIT {_WINDOW_ROWS}) AS l JOIN task t ON t.id = l.task_id
    WHERE l.time < $5 AND NOT (l.epoch = $6 AND l.seq >= $7) AND {_OF_OURS}
      AND t.finished_at < $5 AND t.id <> ALL($8::uuid[]) AND {_OVER}""",
    "epoch, seq",
)
_WINDOW = f"""
SELECT epoch, seq FROM event_log WHERE (epoch, seq) > ($1, $2) AND (epoch, seq) <= ($3, $4)
ORDER BY epoch, seq OFFSET {_WINDOW_ROWS - 1} LIMIT 1"""
_NOTE = """
INSERT INTO archive (id, file, sha256, rows, before, first_epoch, first_seq, last_epoch, last_seq, written_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, now())"""
_REMOVE = """
WITH gone AS (
  DELETE FROM event_log l USING unnest($2::text[], $3::bigint[], $4::text[]) AS u(epoch, seq, id)
  WHERE l.epoch = u.epoch AND l.seq = u.seq AND l.id = u.id
  RETURNING l.task_id, l.tenant, l.owner, l.session_id, l.epoch, l.seq),
noted AS (
  INSERT INTO archived_task (task_id, archive_id, tenant, owner, session_id, epoch, seq)
  SELECT DISTINCT ON (task_id) task_id, $1::uuid, tenant, owner, session_id, epoch, seq FROM gone
  ORDER BY task_id, epoch DESC, seq DESC
  ON CONFLICT (task_id, archive_id) DO UPDATE SET epoch = EXCLUDED.epoch, seq = EXCLUDED.seq)
SELECT count(*) FROM gone"""
_ROWS = Rows(event_log, LOG_COLUMNS, 1)
_COLUMNS = ", ".join(LOG_COLUMNS)
_PUT_BACK = f"INSERT INTO event_log ({_COLUMNS}) {_ROWS.select()} ON CONFLICT DO NOTHING"
_THERE = f"""
SELECT count(*) FROM ({_ROWS.select()} INTERSECT ALL SELECT {_COLUMNS} FROM event_log
  WHERE (epoch, seq) IN (SELECT * FROM unnest($1::text[], $2::bigint[]))) AS same"""
_RESTORED = """
WITH done AS (UPDATE archive SET restored_at = now() WHERE id = $1)
DELETE FROM archived_task WHERE archive_id = $1"""
_AWAY = "SELECT file FROM archive WHERE restored_at IS NULL ORDER BY written_at"
_NOTES = f"SELECT {', '.join(columns_of(archive))} FROM archive"


class ArchiveBusyError(PermanentError):
    """The log is being archived, restored or folded anew already."""

    code = "archive_busy"


class LogRow(NamedTuple):
    """One row of the log, whole."""

    epoch: str
    seq: int
    source: str
    id: str
    type: str
    tenant: str
    owner: str
    task_id: UUID | None
    session_id: str | None
    time: datetime
    outcome: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Bounds:
    """What may go: older than `before`; not in the stream, which begins at `kept_from` in `epoch`; not beyond `until`;
    nothing of the tasks that `letters` are about.
    """

    before: datetime
    epoch: str
    kept_from: int
    until: Cursor
    letters: frozenset[UUID] = frozenset()


@dataclass(frozen=True, slots=True)
class Note:
    """What the database knows of one archive."""

    id: UUID
    file: str
    sha256: str
    rows: int
    before: datetime
    first_epoch: str
    first_seq: int
    last_epoch: str
    last_seq: int
    written_at: datetime
    removed_at: datetime | None = None
    restored_at: datetime | None = None


class ArchiveStore:
    """One connection, which holds the lock of archives while it is open."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._connection = connection

    @classmethod
    @asynccontextmanager
    async def open(cls, dsn: str) -> AsyncGenerator["ArchiveStore"]:
        """Connect. Raises ArchiveBusyError while another archive, or a rebuild, is at work."""
        with store_faults():
            connection = await asyncpg.connect(dsn, timeout=2.0, command_timeout=60.0, server_settings=_SESSION)
        try:
            await lock(connection)
            yield cls(connection)
        finally:
            await hang_up(connection)

    async def now(self) -> datetime:
        """The database's clock."""
        with store_faults():
            found: datetime = await self._connection.fetchval("SELECT now()")
        return found

    async def position(self) -> Cursor:
        """How far the keeper has folded the log."""
        with store_faults():
            row = await self._connection.fetchrow("SELECT epoch, position FROM keeper")
        return Cursor("", 0) if row is None else Cursor(row["epoch"], row["position"])

    async def pages(self, bounds: Bounds) -> AsyncGenerator[list[LogRow]]:
        """What may go, in order. Looks at 2,000 rows of the log at a time, whatever is in them."""
        place: tuple[str, int] = ("", 0)
        last = (bounds.until.epoch, bounds.until.seq)
        while True:
            with store_faults():
                end = await self._connection.fetchrow(_WINDOW, *place, *last)
            window = last if end is None else (end["epoch"], end["seq"])
            while rows := await self._page(bounds, place, window):
                yield rows
                place = (rows[-1].epoch, rows[-1].seq)
                if sum(len(row.body) for row in rows) < PORTION:  # that were all of them
                    break
            if end is None:
                return
            place = window

    async def _page(self, bounds: Bounds, after: tuple[str, int], until: tuple[str, int]) -> list[LogRow]:
        limits = (bounds.before, bounds.epoch, bounds.kept_from, list(bounds.letters))
        with store_faults():
            return [LogRow(*row) for row in await self._connection.fetch(_PAGE, *after, *until, *limits)]

    async def note(self, note: Note) -> None:
        """Keep that a file was written, before anything is removed."""
        with store_faults():
            await self._connection.execute(_NOTE, *astuple(note)[:-3])

    async def notes(self) -> list[Note]:
        """All archives, oldest first."""
        with store_faults():
            return [Note(*row) for row in await self._connection.fetch(f"{_NOTES} ORDER BY written_at")]

    async def noted(self, sha256: str) -> Note | None:
        """The archive whose file has this digest, unless it was restored."""
        with store_faults():
            row = await self._connection.fetchrow(f"{_NOTES} WHERE sha256 = $1 AND restored_at IS NULL", sha256)
        return None if row is None else Note(*row)

    async def remove(self, note: Note, rows: Sequence[LogRow]) -> int:
        """Take rows of an archive out of the log and note whose they were; how many were still there."""
        keys = [row.epoch for row in rows], [row.seq for row in rows], [row.id for row in rows]
        with store_faults():
            return int(await self._connection.fetchval(_REMOVE, note.id, *keys))

    async def removed(self, note: Note) -> None:
        """Note that none of an archive's rows is in the log any more."""
        with store_faults():
            await self._connection.execute("UPDATE archive SET removed_at = now() WHERE id = $1", note.id)

    async def put_back(self, rows: Sequence[LogRow]) -> int:
        """Put rows back where they are missing; how many of them are in the log now, to the byte."""
        columns = list(zip(*rows, strict=True))
        with store_faults():
            await self._connection.execute(_PUT_BACK, *columns)
            return int(await self._connection.fetchval(_THERE, *columns))

    async def restored(self, note: Note) -> None:
        """Note that all of an archive's rows are in the log again."""
        with store_faults():
            await self._connection.execute(_RESTORED, note.id)


async def lock(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Keep others from archiving, restoring or folding anew until the connection ends. Raises ArchiveBusyError."""
    with store_faults():
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):
            raise ArchiveBusyError


async def refuse_if_archived(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Raise HistoryArchivedError if rows of the log are, or may be, in a file only."""
    with store_faults():
        files = [row["file"] for row in await connection.fetch(_AWAY)]
    if files:
        raise HistoryArchivedError(
            f"Events of the log are in {len(files)} archive{'s' if files[1:] else ''}, the first of them {files[0]}:"
            " put them back with `ganglion archive --restore FILE`"
        )
