"""A second set of the folded tables in a schema of its own: fill it, compare it, put it in place (DESIGN 4)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from storage.archive import lock, refuse_if_archived
from storage.faults import store_faults
from storage.keeper import KeeperStore, Position
from storage.parts import FOLDED
from storage.portion import portion

_SHADOW, _OLD = "rebuild", "rebuild_old"
_HOLD = """
UPDATE keeper SET holder = $1, until = clock_timestamp() + interval '10 s' WHERE id = 1 RETURNING epoch, position"""
_PAGE = portion(
    "epoch, seq, time, outcome, body",
    "SELECT * FROM event_log WHERE (epoch, seq) > ($1, $2) ORDER BY epoch, seq LIMIT $3",
    "epoch, seq",
)
# What LIKE copies under other names or not at all; migrations know indexes by their names.
_OPTIONS = "SELECT array_to_string(reloptions, ', ') FROM pg_class WHERE oid = $1::regclass"
_KEYS = """
SELECT format('CONSTRAINT %I %s', conname, pg_get_constraintdef(oid)) FROM pg_constraint
WHERE conrelid = $1::regclass AND contype IN ('p', 'u')"""
_INDEXES = """
SELECT format('CREATE %s INDEX %I ON ', CASE WHEN indisunique THEN 'UNIQUE' END, relname) AS made,
       substring(pg_get_indexdef(indexrelid) FROM ' (USING .*)$') AS described
FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE indrelid = $1::regclass AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)"""


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """One row of the log."""

    epoch: str
    seq: int
    time: datetime
    outcome: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Difference:
    """Rows of one table: how many there are now, how many rebuilt ones differ from them or are new or missing."""

    table: str
    rows: int
    missing: int
    extra: int


class RebuildStore(KeeperStore):
    """A keeper's store whose folded tables are the shadow ones; it holds the lease, so that no keeper folds."""

    @classmethod
    async def open(cls, dsn: str, holder: str) -> "RebuildStore":
        """Connect, and make the shadow tables.

        Raises HistoryArchivedError if the log is not whole, ArchiveBusyError while it is being archived.
        """
        store = await cls.connect(dsn, holder)
        shadow = cls(store._connection, holder)
        try:
            await lock(shadow._connection)
            await refuse_if_archived(shadow._connection)
        except BaseException:
            await shadow.close()
            raise
        with store_faults():
            await shadow._connection.execute(f"DROP SCHEMA IF EXISTS {_SHADOW} CASCADE; CREATE SCHEMA {_SHADOW}")
            for name in FOLDED:
                await _copy(shadow._connection, f"public.{name}", f"{_SHADOW}.{name}")
            await shadow._connection.execute(f"SET search_path TO {_SHADOW}, public")
        return shadow

    async def hold(self) -> Position:
        """Keep the lease for ten seconds more, whoever had it, and say where the log is folded to."""
        with store_faults():
            row = await self._connection.fetchrow(_HOLD, self.holder)
        if row is None:
            raise AssertionError("the keeper's row is made by the first migration")
        return Position(row["epoch"], row["position"])

    async def pages(self, size: int = 512) -> AsyncIterator[list[LoggedEvent]]:
        """The log in order, a page at a time; large events make it shorter."""
        place: tuple[str, int] = ("", 0)
        while True:
            with store_faults():
                rows = await self._connection.fetch(_PAGE, *place, size)
            if not rows:
                return
            place = (rows[-1]["epoch"], rows[-1]["seq"])
            yield [LoggedEvent(*row) for row in rows]

    async def compare(self) -> list[Difference]:
        """Each folded table against its shadow."""
        return [await self._compare(name) for name in FOLDED]

    async def _compare(self, name: str) -> Difference:
        row = await self._one(
            f"""SELECT (SELECT count(*) FROM public.{name}),
            (SELECT count(*) FROM (SELECT * FROM public.{name} EXCEPT SELECT * FROM {_SHADOW}.{name}) AS missing),
            (SELECT count(*) FROM (SELECT * FROM {_SHADOW}.{name} EXCEPT SELECT * FROM public.{name}) AS extra)"""
        )
        return Difference(name, row[0], row[1], row[2])

    async def swap(self) -> None:
        """Put the shadow tables in place of the others in one transaction, and drop those."""
        with store_faults():
            async with self._connection.transaction():
                await self._connection.execute(f"DROP SCHEMA IF EXISTS {_OLD} CASCADE; CREATE SCHEMA {_OLD}")
                for name in FOLDED:
                    await self._connection.execute(f"ALTER TABLE public.{name} SET SCHEMA {_OLD}")
                    await self._connection.execute(f"ALTER TABLE {_SHADOW}.{name} SET SCHEMA public")
                await self._connection.execute(f"DROP SCHEMA {_OLD} CASCADE; DROP SCHEMA {_SHADOW} CASCADE")

    async def discard(self) -> None:
        """Drop the shadow tables."""
        with store_faults():
            await self._connection.execute(f"DROP SCHEMA IF EXISTS {_SHADOW} CASCADE")

    async def _one(self, statement: str) -> asyncpg.Record:
        with store_faults():
            row = await self._connection.fetchrow(statement)
        if row is None:
            raise AssertionError("an aggregate always has a row")
        return row


async def _copy(connection: "asyncpg.Connection[asyncpg.Record]", table: str, to: str) -> None:
    """Make an empty table like another one in all, the names of its indexes included."""
    options = await connection.fetchval(_OPTIONS, table)
    await connection.execute(
        f"CREATE TABLE {to} (LIKE {table} INCLUDING ALL EXCLUDING INDEXES)" + (f" WITH ({options})" if options else "")
    )
    for (key,) in await connection.fetch(_KEYS, table):
        await connection.execute(f"ALTER TABLE {to} ADD {key}")
    for made, described in await connection.fetch(_INDEXES, table):
        await connection.execute(f"{made}{to} {described}")
