"""Which migration a database is at, and which one this program brings along: asked at every start, without Alembic.

Alembic and what it needs are a third of a second of imports, and most starts have nothing to migrate.
"""

from functools import cache
from pathlib import Path

import asyncpg

_MIGRATIONS = Path(__file__).parent / "migrations" / "versions"


@cache
def newest_schema() -> str:
    """The newest migration there is, as Alembic calls it: their files' names begin with that."""
    return max((path.name.partition("_")[0] for path in _MIGRATIONS.glob("[0-9]*.py")), default="")


async def schema_of(database_url: str) -> str | None:
    """The newest migration that a database has; None when it has none yet."""
    connection = await asyncpg.connect(database_url)
    try:
        found: str | None = await connection.fetchval("SELECT max(version_num) FROM alembic_version")
    except asyncpg.UndefinedTableError:
        return None
    finally:
        await connection.close()
    return found
