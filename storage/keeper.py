"""The keeper's own statements: the lease, one read and one write a batch, the outbox (DESIGN 4).

The write is a single statement that commits by itself: it moves the position only from where this keeper left it
and only while nobody else has taken the lease, so a second keeper or a zombie changes nothing. That the lease has run
out matters to those who want it: where everything is slow, a lone keeper would else never come to write.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import asyncpg

from events.errors import LeaseLostError
from storage.faults import hang_up, store_faults
from storage.models import event_log, outbox, task
from storage.parts import LEASE, PARTS, READS, write_statement
from storage.portion import portion
from storage.unnest import Row


class RepeatedEventError(Exception):
    """An event of the batch is in the log already, or what it leads to waits to be published, or a task was asked for
    before: fold again with what is known.
    """


@dataclass(frozen=True, slots=True)
class Position:
    """How far the log is folded."""

    epoch: str
    seq: int


@dataclass(slots=True)
class Changes:
    """What one batch writes: rows by the name of their part (`storage.parts.PARTS`), and the outbox rows read back."""

    rows: dict[str, list[Row]] = field(default_factory=dict)
    read_back: list[str] = field(default_factory=list)

    def add(self, part: str, row: Row) -> None:
        """One more row; its values are in the order of the part's columns."""
        self.rows.setdefault(part, []).append(row)

    def of(self, part: str) -> list[Row]:
        """The rows of one part."""
        return self.rows.get(part, [])


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


_ONCE_EACH = (event_log.name, task.name)
_LED_TO_ONCE = "outbox_event_id_key"
# Nobody takes it for a minute (a rebuild does for ten seconds): one that ends later was taken before the clock was set
# back, and its holder renews it if it lives.
_ACQUIRE = f"""
UPDATE keeper SET holder = $1, until = clock_timestamp() + interval '{LEASE.total_seconds()} s'
WHERE id = 1 AND (holder = $1 OR until IS NULL OR until < clock_timestamp()
                  OR until > clock_timestamp() + interval '60 s')
RETURNING epoch, position"""
_RENEW = f"""
UPDATE keeper SET until = clock_timestamp() + interval '{LEASE.total_seconds()} s'
WHERE id = 1 AND holder = $1 RETURNING 1"""
_RELEASE = "UPDATE keeper SET until = NULL, holder = NULL WHERE id = 1 AND holder = $1"
_MOVE = "UPDATE keeper SET epoch = $2, position = $3 WHERE id = 1 AND holder = $1"
_KNOWN = """
SELECT l.source, l.id FROM event_log l
JOIN unnest($1::text[], $2::text[]) AS u(source, id) ON l.id = u.id AND l.source = u.source"""
_OUTBOX = portion(
    "position, event_id, subject, body",
    "SELECT * FROM outbox WHERE position > $1 AND position < $2 ORDER BY position LIMIT $3",
    "position",
)
_ADD_TO_OUTBOX = f"""
WITH lease AS (SELECT 1 FROM keeper WHERE id = 1 AND holder = $1 FOR UPDATE),
sent AS ({PARTS["sent"].write(2)[0]})
SELECT 1 FROM lease"""
_FOLDED_AT = """
SELECT id, body FROM event_log WHERE epoch = $1 AND seq = $2
UNION ALL SELECT id, NULL FROM event_repeat WHERE epoch = $1 AND seq = $2"""
_FIRST_FOLDED = "SELECT coalesce(min(seq), 0) FROM event_log WHERE epoch = $1"
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
    async def connect(cls, dsn: str, holder: str, *, quick: bool = False) -> "KeeperStore":
        """Open a connection; a statement that stalls is given up after 10 s.

        A `quick` one does not wait for the disk: for the lease, which needs to outlive no crash of the server.
        """
        session = {**_SESSION, "synchronous_commit": "off"} if quick else _SESSION
        with store_faults():
            connection = await asyncpg.connect(dsn, timeout=2.0, command_timeout=10.0, server_settings=session)
        return cls(connection, holder)

    async def close(self) -> None:
        """Close the connection, within a second even if the server is gone."""
        await hang_up(self._connection)

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

    async def load(self, table: str, ids: Sequence[object]) -> list[dict[str, object]]:
        """The named rows of one folded table that exist, as `storage.parts.READS` reads them."""
        with store_faults():
            return [dict(row) for row in await self._connection.fetch(READS[table], ids)]

    async def known(self, keys: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
        """Which of the (source, id) pairs are in the log already."""
        sources, ids = [key[0] for key in keys], [key[1] for key in keys]
        with store_faults():
            return {(row["source"], row["id"]) for row in await self._connection.fetch(_KNOWN, sources, ids)}

    async def write(self, changes: Changes, was: Position, now: Position) -> None:
        """Commit one batch whole or not at all.

        Raises LeaseLostError (another keeper, or we ourselves, moved on), RepeatedEventError (fold again with what is
        known), UnkeepableError (some row holds what a column cannot).
        """
        parts = {name: rows for name in PARTS if (rows := changes.of(name))}
        arrays: list[object] = [column for rows in parts.values() for column in zip(*rows, strict=True)]
        if changes.read_back:
            arrays.append(changes.read_back)
        statement = write_statement(tuple(parts), read_back=bool(changes.read_back))
        with store_faults():
            try:
                moved = await self._connection.fetchval(
                    statement, self.holder, was.epoch, was.seq, now.epoch, now.seq, *arrays
                )
            except asyncpg.UniqueViolationError as error:
                if error.table_name in _ONCE_EACH:
                    raise RepeatedEventError from error
                # Postgres meets what is last in the statement first: the repeat of an event is seen by what it led to.
                if error.constraint_name == _LED_TO_ONCE:
                    raise RepeatedEventError from error
                if error.table_name == outbox.name:  # what we sent before we came back to lead was done only now
                    raise LeaseLostError from error
                raise
        if moved != 1:
            raise LeaseLostError

    async def outbox_between(self, after: int, before: int, limit: int = 256) -> list[OutboxRow]:
        """Committed events that were not read back yet, in order; not all of them if they are large."""
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

    async def first_folded(self, epoch: str) -> int:
        """The first sequence of an epoch that is in the log, 0 if none is."""
        with store_faults():
            return int(await self._connection.fetchval(_FIRST_FOLDED, epoch))

    async def folded_at(self, position: Position) -> Folded | None:
        """What was folded at this position, if anything was."""
        with store_faults():
            found = await self._connection.fetchrow(_FOLDED_AT, position.epoch, position.seq)
        return None if found is None else Folded(found["id"], found["body"])
