"""A database of its own for a test, copied from a migrated template."""

import asyncio
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from storage.migrate import upgrade

EMPTY = "template0"


@asynccontextmanager
async def fresh_database(server_url: str, *, template: str = EMPTY) -> AsyncGenerator[str]:
    """The URL of a new database, a copy of `template`, dropped afterwards whoever is still connected."""
    name = f"test_{uuid.uuid4().hex}"
    await _execute(server_url, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    try:
        yield with_database(server_url, name)
    finally:
        await _execute(server_url, f'DROP DATABASE "{name}" WITH (FORCE)')


@asynccontextmanager
async def migrated_template(server_url: str) -> AsyncGenerator[str]:
    """The name of a database at the newest migration, to copy from; nobody may connect to it."""
    async with fresh_database(server_url) as url:
        # In a thread: migrating runs an event loop of its own.
        await asyncio.to_thread(upgrade, url)
        yield urlsplit(url).path.lstrip("/")


def with_database(url: str, name: str) -> str:
    """The same server, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
