"""Migrations and models say the same, and both ways of getting there are safe to repeat."""

import asyncio
import os
import sys
from pathlib import Path

import asyncpg
from alembic import command
from alembic.script import ScriptDirectory

from storage.migrate import config_for, upgrade
from storage.models import metadata
from storage.schema import newest_schema, schema_of

ROOT = Path(__file__).parents[2]


async def test_the_migrations_build_what_the_models_say(database_url: str) -> None:
    await asyncio.to_thread(command.check, config_for(database_url))


async def test_the_newest_migration_is_known_without_alembic(database_url: str, bare_database_url: str) -> None:
    scripts = ScriptDirectory.from_config(config_for(database_url))
    assert newest_schema() == scripts.get_current_head() == await schema_of(database_url)
    assert await schema_of(bare_database_url) is None


async def test_two_processes_may_migrate_at_once_and_again(bare_database_url: str) -> None:
    environment = {**os.environ, "DATABASE_URL": bare_database_url}
    both = [
        await asyncio.create_subprocess_exec(sys.executable, "-m", "storage.migrate", env=environment, cwd=ROOT)
        for _ in range(2)
    ]
    assert [await process.wait() for process in both] == [0, 0]
    await asyncio.to_thread(upgrade, bare_database_url)
    database = await asyncpg.connect(bare_database_url)
    tables = {row["tablename"] for row in await database.fetch("SELECT tablename FROM pg_tables")}
    keepers = await database.fetch("SELECT id, epoch, position FROM keeper")
    await database.close()
    assert set(metadata.tables) <= tables
    assert [tuple(row) for row in keepers] == [(1, "", 0)]
