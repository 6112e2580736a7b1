"""A database of its own for a test, copied from a migrated template, or emptied after the test before."""

import asyncio
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Self
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from storage.migrate import upgrade

EMPTY = "template0"

# Rows of the catalogue are never changed in place by DDL, so their places in time say whether there was any.
_SHAPE = """
SELECT md5(string_agg(said, ',' ORDER BY said)) FROM (
  SELECT concat('r', oid, ' ', xmin) AS said FROM pg_class WHERE relnamespace = 'public'::regnamespace
  UNION ALL SELECT concat('a', a.attrelid, ' ', a.attnum, ' ', a.xmin) FROM pg_attribute a
    JOIN pg_class c ON c.oid = a.attrelid WHERE c.relnamespace = 'public'::regnamespace
  UNION ALL SELECT concat('c', oid, ' ', xmin) FROM pg_constraint
  UNION ALL SELECT concat('p', oid, ' ', xmin) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
  UNION ALL SELECT concat('t', oid, ' ', xmin) FROM pg_trigger
  UNION ALL SELECT concat('n', oid, ' ', xmin) FROM pg_namespace WHERE nspname !~ '^pg_(temp|toast_temp)'
  UNION ALL SELECT concat('s', setdatabase, ' ', setrole, ' ', setconfig) FROM pg_db_role_setting
) catalogue"""
_TABLES = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
_OTHERS_END = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()"""


@asynccontextmanager
async def fresh_database(server_url: str, *, template: str = EMPTY) -> AsyncGenerator[str]:
    """The URL of a new database, a copy of `template`, dropped afterwards whoever is still connected."""
    url = await _create(server_url, template)
    try:
        yield url
    finally:
        await _drop(server_url, url)


class Spare:
    """Lends one database, migrated and without what an earlier borrower wrote; `async with Spare(…) as spare`.

    A copy of the template costs a quarter of a second of the machine, to empty one takes a tenth of that. One whose
    schema or settings a test has changed is thrown away.
    """

    def __init__(self, server_url: str, template: str) -> None:
        self._server_url = server_url
        self._template = template
        self._url: str | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._discard()

    @asynccontextmanager
    async def lend(self) -> AsyncGenerator[str]:
        """Its URL; whoever is still connected afterwards is thrown out."""
        if self._url is None:
            await self._make()
        assert self._url is not None
        yield self._url
        if not await self._is_emptied(self._url):
            await self._discard()

    async def _discard(self) -> None:
        if self._url is not None:
            await _drop(self._server_url, self._url)
        self._url = None

    async def _make(self) -> None:
        self._url = await _create(self._server_url, self._template)
        connection = await asyncpg.connect(self._url)
        try:
            self._shape = await connection.fetchval(_SHAPE)
            names = [row["relname"] for row in await connection.fetch(_TABLES)]
            rows = {name: await connection.fetch(f'SELECT * FROM "{name}"') for name in names}  # noqa: S608 - our own
        finally:
            await connection.close()
        self._first_rows = {name: [tuple(row) for row in found] for name, found in rows.items()}

    async def _is_emptied(self, url: str) -> bool:
        """Put back the rows it began with; False when more than rows was changed."""
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(_OTHERS_END)
            if await connection.fetchval(_SHAPE) != self._shape:
                return False
            async with connection.transaction():
                await connection.execute("SET LOCAL session_replication_role = replica")  # no foreign key looks
                await connection.execute(";".join(f'DELETE FROM "{name}"' for name in self._first_rows))  # noqa: S608 - our own
                for name, rows in self._first_rows.items():
                    if rows:
                        await connection.copy_records_to_table(name, records=rows)
        finally:
            await connection.close()
        return True


@asynccontextmanager
async def migrated_template(server_url: str) -> AsyncGenerator[str]:
    """The name of a database at the newest migration, to copy from; nobody may connect to it.

    It is a copy of the server's own database, which is migrated already where a copied cluster serves.
    """
    async with fresh_database(server_url, template=urlsplit(server_url).path.lstrip("/")) as url:
        if not await _has_tables(url):
            # In a thread: migrating runs an event loop of its own.
            await asyncio.to_thread(upgrade, url)
        yield urlsplit(url).path.lstrip("/")


def with_database(url: str, name: str) -> str:
    """The same server, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


async def _has_tables(url: str) -> bool:
    connection = await asyncpg.connect(url)
    try:
        return bool(await connection.fetch(_TABLES))
    finally:
        await connection.close()


async def _create(server_url: str, template: str) -> str:
    name = f"test_{uuid.uuid4().hex}"
    await _execute(server_url, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    return with_database(server_url, name)


async def _drop(server_url: str, url: str) -> None:
    await _execute(server_url, f'DROP DATABASE "{urlsplit(url).path.lstrip("/")}" WITH (FORCE)')


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
