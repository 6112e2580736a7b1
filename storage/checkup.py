"""What the stores can say of themselves: Postgres how safely it commits, how its clock runs, what it lacks and what the
log lost; Redis whether it is there.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime

from redis.exceptions import RedisError
from sqlalchemy import Text, column, func, select, table

from storage.best_effort import best_effort
from storage.models import event_gap, keeper
from storage.reading import Database, fetch

_PATIENCE = 1.0
_SETTINGS = ("fsync", "synchronous_commit", "full_page_writes", "synchronous_standby_names")


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """One look. `lost` counts the sequences that the log of the present epoch is known to have lost."""

    settings: dict[str, str]
    now: datetime
    bytes: int
    schema: str | None
    lost: int


async def look(engine: Database) -> DatabaseState:
    """Ask Postgres. Raises StoreUnavailableError."""
    lost = select(func.coalesce(func.sum(event_gap.c.last_seq - event_gap.c.first_seq + 1), 0)).where(
        event_gap.c.epoch == select(keeper.c.epoch).scalar_subquery()
    )
    schema = select(func.max(column("version_num", Text))).select_from(table("alembic_version"))
    statement = select(
        *(func.current_setting(name).label(name) for name in _SETTINGS),
        func.clock_timestamp().label("now"),
        func.pg_database_size(func.current_database()).label("bytes"),
        schema.scalar_subquery().label("schema"),
        lost.scalar_subquery().label("lost"),
    )
    row = (await fetch(engine, statement))[0]
    values = row._mapping  # noqa: SLF001 - SQLAlchemy's public name for a row's columns
    return DatabaseState(
        settings={name: str(values[name]) for name in _SETTINGS},
        now=values["now"],
        bytes=int(values["bytes"]),
        schema=values["schema"],
        lost=int(values["lost"]),
    )


class RedisProbe:
    """Asks the Redis at a URL for a sign of life."""

    def __init__(self, url: str) -> None:
        self._redis = best_effort(url, patience=_PATIENCE)

    async def answers(self) -> bool:
        """Whether it does, within a second."""
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._redis.ping()
        except (RedisError, TimeoutError, OSError):
            return False
        return True

    async def close(self) -> None:
        """Close the connection."""
        await self._redis.aclose()
