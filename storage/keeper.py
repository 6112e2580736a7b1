"""The keeper's own statements: the lease, one read and one write a batch, the outbox (DESIGN 4).

The write is a single statement that commits by itself: it moves the position only from where this keeper left it
and only under its lease, so a second keeper or a zombie changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from uuid import UUID

import asyncpg
from sqlalchemy import Table

from events.errors import LeaseLostError
from storage.faults import AWAY, store_faults
from storage.models import event_gap, event_log, event_repeat, outbox, run, task, tool_call, verdict
from storage.unnest import Row, Rows, columns_of

LEASE = timedelta(seconds=2)
TASK_COLUMNS = columns_of(task)
TASK_LIFE = TASK_COLUMNS[TASK_COLUMNS.index("status") :]
TASK_FOLD = (
    "id",
    "tenant",
    "owner",
    "session_id",
    "kind",
    "required_capabilities",
    "deadline_at",
    *TASK_LIFE,
)
LOG_COLUMNS = columns_of(event_log)
RUN_COLUMNS = columns_of(run)


class RepeatedEventError(Exception):
    """An event of the batch is in the log already: fold again without the known ones."""


@dataclass(frozen=True, slots=True)
class Position:
    """How far the log is folded."""

    epoch: str
    seq: int


@dataclass(slots=True)
class Changes:
    """What one batch writes; rows are tuples in the order of the tables' columns."""

    log: list[Row] = field(default_factory=list)
    repeats: list[Row] = field(default_factory=list)
    gaps: list[Row] = field(default_factory=list)
    new_tasks: list[Row] = field(default_factory=list)
    changed_tasks: list[Row] = field(default_factory=list)
    runs: list[Row] = field(default_factory=list)
    verdicts: list[Row] = field(default_factory=list)
    tool_calls: list[Row] = field(default_factory=list)
    outbox: list[Row] = field(default_factory=list)
    read_back: list[str] = field(default_factory=list)

    def by_part(self) -> dict[str, list[Row]]:
        """The rows by the part of the statement that writes them; parts without rows are left out."""
        parts = {
            "logged": self.log,
            "repeated": self.repeats,
            "gaps": self.gaps,
            "born": self.new_tasks,
            "ran": self.runs,
            "judged": self.verdicts,
            "called": self.tool_calls,
            "sent": self.outbox,
            "changed": self.changed_tasks,
        }
        return {name: rows for name, rows in parts.items() if rows}


@dataclass(frozen=True, slots=True)
class Folded:
    """An event as the log keeps it; a repeat has no body there."""

    id: str
    body: bytes | None


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One committed event that waits to be published or read back."""

    position: int
    event_id: str
    subject: str
    body: bytes


_ENDED = ", ".join(
    f"{name} = EXCLUDED.{name}" for name in ("status", "finished_at", "tokens", "cost_usd", "ms", "error")
)
_INSERTS: dict[str, tuple[Table, str]] = {
    "logged": (event_log, ""),
    "repeated": (event_repeat, "ON CONFLICT DO NOTHING"),
    "gaps": (event_gap, "ON CONFLICT DO NOTHING"),
    "born": (task, ""),
    "ran": (run, f"ON CONFLICT (task_id, attempt) DO UPDATE SET {_ENDED}"),
    "judged": (verdict, "ON CONFLICT DO NOTHING"),
    "called": (tool_call, "ON CONFLICT DO NOTHING"),
    "sent": (outbox, ""),
}
_LEASE_PART = (
    "lease AS (UPDATE keeper SET epoch = $4, position = $5,"
    f" until = clock_timestamp() + interval '{LEASE.total_seconds()} s'"
    " WHERE id = 1 AND holder = $1 AND epoch = $2 AND position = $3 AND until > clock_timestamp() RETURNING 1)"
)


def _insert(table: Table, rows: Rows, conflict: str = "") -> str:
    names = ", ".join(rows.names)
    return f"INSERT INTO {table.name} ({names}) {rows.select()} WHERE EXISTS (SELECT FROM lease) {conflict}"


def _update(rows: Rows) -> str:
    assignments = ", ".join(f"{name} = v.{name}" for name in TASK_LIFE)
    return (
        f"UPDATE task t SET {assignments} FROM ({rows.select()}) AS v({', '.join(rows.names)})"
        " WHERE t.id = v.id AND EXISTS (SELECT FROM lease)"
    )


@cache
def _write_statement(parts: tuple[str, ...], *, read_back: bool) -> str:
    """The one write statement for a batch that touches these parts: what has no rows costs nothing.

    Parameters 1-5 are holder, old and new position; then one array a column, part by part; last the ids read back.
    """
    place = 6
    written = [_LEASE_PART]
    for name in parts:
        if name == "changed":
            rows = Rows(task, ("id", *TASK_LIFE), place)
            written.append(f"{name} AS ({_update(rows)})")
        else:
            table, conflict = _INSERTS[name]
            rows = Rows(table, columns_of(table), place)
            written.append(f"{name} AS ({_insert(table, rows, conflict)})")
        place = rows.next
    if read_back:
        gone = f"DELETE FROM outbox WHERE event_id = ANY(${place}::text[]) AND EXISTS (SELECT FROM lease)"
        written.append(f"read_back AS ({gone})")
    return "WITH " + ",\n".join(written) + "\nSELECT count(*) FROM lease"


_READ = f"SELECT {', '.join(TASK_FOLD)} FROM task WHERE id = ANY($1::uuid[])"
_ACQUIRE = f"""
UPDATE keeper SET holder = $1, until = clock_timestamp() + interval '{LEASE.total_seconds()} s'
WHERE id = 1 AND (holder = $1 OR until IS NULL OR until < clock_timestamp()) RETURNING epoch, position"""
_RENEW = f"""
UPDATE keeper SET until = clock_timestamp() + interval '{LEASE.total_seconds()} s'
WHERE id = 1 AND holder = $1 AND until > clock_timestamp() RETURNING 1"""
_RELEASE = "UPDATE keeper SET until = NULL, holder = NULL WHERE id = 1 AND holder = $1"
_MOVE = "UPDATE keeper SET epoch = $2, position = $3 WHERE id = 1 AND holder = $1 AND until > clock_timestamp()"
_KNOWN = """
SELECT l.source, l.id FROM event_log l
JOIN unnest($1::text[], $2::text[]) AS u(source, id) ON l.id = u.id AND l.source = u.source"""
_OUTBOX = """
SELECT position, event_id, subject, body FROM outbox WHERE position > $1 AND position < $2 ORDER BY position LIMIT $3"""
_ADD_TO_OUTBOX = f"""
WITH lease AS (SELECT 1 FROM keeper WHERE id = 1 AND holder = $1 AND until > clock_timestamp() FOR UPDATE),
sent AS ({_insert(outbox, Rows(outbox, columns_of(outbox), 2))})
SELECT 1 FROM lease"""
_FOLDED_AT = """
SELECT id, body FROM event_log WHERE epoch = $1 AND seq = $2
UNION ALL SELECT id, NULL FROM event_repeat WHERE epoch = $1 AND seq = $2"""
_SETTINGS = "SELECT current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS synchronous_commit"


# One plan for good, made while the tables are empty: it must go through the indexes, or each batch reads the tables.
_SESSION = {
    "application_name": "ganglion-keeper",
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "idle_in_transaction_session_timeout": "2s",
}


class KeeperStore:
    """One connection to Postgres and what a keeper does on it.

    Every method raises StoreUnavailableError when the database is away.
    """

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]", holder: str) -> None:
        self._connection = connection
        self.holder = holder

    @classmethod
    async def connect(cls, dsn: str, holder: str) -> "KeeperStore":
        """Open a connection; a statement that stalls is given up after 10 s."""
        with store_faults():
            connection = await asyncpg.connect(
                dsn,
                timeout=2.0,
                command_timeout=10.0,
                server_settings=_SESSION,
            )
        return cls(connection, holder)

    async def close(self) -> None:
        """Close the connection, within a second even if the server is gone."""
        try:
            await self._connection.close(timeout=1.0)
        except AWAY:
            self._connection.terminate()

    async def durable_settings(self) -> dict[str, str]:
        """`fsync` and `synchronous_commit` as the server has them."""
        with store_faults():
            return dict((await self._connection.fetchrow(_SETTINGS)) or {})

    async def acquire(self) -> Position | None:
        """Take the lease if it is free, run out, or ours; None if another keeper has it."""
        with store_faults():
            row = await self._connection.fetchrow(_ACQUIRE, self.holder)
        return None if row is None else Position(row["epoch"], row["position"])

    async def renew(self) -> None:
        """Keep the lease for two seconds more; raises LeaseLostError."""
        with store_faults():
            renewed = await self._connection.fetchval(_RENEW, self.holder)
        if renewed is None:
            raise LeaseLostError

    async def release(self) -> None:
        """Give the lease back so that a standby need not wait."""
        with store_faults():
            await self._connection.execute(_RELEASE, self.holder)

    async def move(self, to: Position) -> None:
        """Set the position without folding: a new epoch begins. Raises LeaseLostError."""
        with store_faults():
            moved = await self._connection.execute(_MOVE, self.holder, to.epoch, to.seq)
        if moved != "UPDATE 1":
            raise LeaseLostError

    async def load_tasks(self, ids: Sequence[UUID]) -> list[dict[str, object]]:
        """The rows of the named tasks that exist, columns TASK_FOLD."""
        with store_faults():
            return [dict(row) for row in await self._connection.fetch(_READ, ids)]

    async def known(self, keys: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
        """Which of the (source, id) pairs are in the log already."""
        sources, ids = [key[0] for key in keys], [key[1] for key in keys]
        with store_faults():
            return {(row["source"], row["id"]) for row in await self._connection.fetch(_KNOWN, sources, ids)}

    async def write(self, changes: Changes, was: Position, now: Position) -> None:
        """Commit one batch whole or not at all.

        Raises LeaseLostError (another keeper moved on), RepeatedEventError (fold again without known events),
        UnkeepableError (some row holds what a column cannot).
        """
        parts = changes.by_part()
        arrays: list[object] = [column for rows in parts.values() for column in zip(*rows, strict=True)]
        if changes.read_back:
            arrays.append(changes.read_back)
        statement = _write_statement(tuple(parts), read_back=bool(changes.read_back))
        with store_faults():
            try:
                moved = await self._connection.fetchval(
                    statement, self.holder, was.epoch, was.seq, now.epoch, now.seq, *arrays
                )
            except asyncpg.UniqueViolationError as error:
                if error.table_name == event_log.name:
                    raise RepeatedEventError from error
                raise
        if moved != 1:
            raise LeaseLostError

    async def outbox_between(self, after: int, before: int, limit: int = 256) -> list[OutboxRow]:
        """Committed events that were not read back yet, in order."""
        with store_faults():
            return [OutboxRow(*row) for row in await self._connection.fetch(_OUTBOX, after, before, limit)]

    async def add_to_outbox(self, added: Sequence[Row]) -> None:
        """Keep events that no batch caused (re-sends). Raises LeaseLostError."""
        rows = zip(*added, strict=True)
        with store_faults():
            kept = await self._connection.fetchval(_ADD_TO_OUTBOX, self.holder, *rows)
        if kept is None:
            raise LeaseLostError

    async def last_outbox_position(self) -> int:
        """The highest position in the outbox, 0 if it is empty."""
        with store_faults():
            return int(await self._connection.fetchval("SELECT coalesce(max(position), 0) FROM outbox"))

    async def folded_at(self, position: Position) -> Folded | None:
        """What was folded at this position, if anything was."""
        with store_faults():
            found = await self._connection.fetchrow(_FOLDED_AT, position.epoch, position.seq)
        return None if found is None else Folded(found["id"], found["body"])
