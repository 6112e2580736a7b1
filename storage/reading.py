"""Reading from Postgres: one retry over a cut connection, and one error when it cannot be reached."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import TypeVarTuple

from sqlalchemy import Row, Select, make_url
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from events.errors import StoreUnavailableError
from storage.database import DatabaseSettings
from storage.faults import AWAY

Columns = TypeVarTuple("Columns")
Database = AsyncEngine
"""What readers hold: `create_engine` makes one."""

# A plan that is kept from when the tables were small reads all of them later; to make one each time costs 0.1 ms.
_SESSION = {"application_name": "ganglion", "jit": "off", "plan_cache_mode": "force_custom_plan"}

_OURS = (ProgrammingError, DataError, IntegrityError)
_AWAY = (DBAPIError, PoolTimeoutError, *AWAY)


def create_engine(settings: DatabaseSettings) -> AsyncEngine:
    """An engine over asyncpg. Statements give up after 5 s, connecting after 2 s; the caller disposes of it."""
    url = make_url(settings.dsn).set(drivername="postgresql+asyncpg")
    return create_async_engine(
        url,
        pool_size=settings.database_pool_size,
        max_overflow=0,
        pool_timeout=2.0,
        pool_pre_ping=False,
        hide_parameters=True,
        connect_args={
            "timeout": 2.0,
            "command_timeout": 5.0,
            "server_settings": _SESSION,
        },
    )


async def fetch(engine: AsyncEngine, statement: Select[*Columns]) -> Sequence[Row[*Columns]]:
    """All rows of one statement; tried twice, since a pool is stale after Postgres restarted.

    Raises StoreUnavailableError. A statement that is wrong stays the error it is: that is a bug.
    """
    try:
        return await _once(engine, statement)
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise _told(error) from error
    except _AWAY as error:
        raise _told(error) from error
    try:
        return await _once(engine, statement)
    except _AWAY as error:
        raise _told(error) from error


@asynccontextmanager
async def one_moment(engine: AsyncEngine) -> AsyncGenerator[AsyncConnection]:
    """A connection whose reads all see the same moment (repeatable read). Raises StoreUnavailableError."""
    try:
        async with engine.connect() as connection:
            await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            yield connection
    except _AWAY as error:
        raise _told(error) from error


async def _once(engine: AsyncEngine, statement: Select[*Columns]) -> Sequence[Row[*Columns]]:
    async with engine.connect() as connection:
        # One statement is a transaction of its own: BEGIN and ROLLBACK around it would be two round trips more.
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        try:
            return (await connection.execute(statement)).all()
        except DBAPIError:
            await connection.invalidate()  # asyncpg may have failed halfway, and Postgres waits for the other half
            raise


def _told(error: BaseException) -> BaseException:
    return error if isinstance(error, _OURS) or _is_about_data(error) else StoreUnavailableError()


def _is_about_data(error: BaseException) -> bool:
    """SQLAlchemy's dialect has no class for what asyncpg says of data; its SQLSTATE is of class 22."""
    return isinstance(error, DBAPIError) and str(getattr(error.orig, "sqlstate", "")).startswith("22")
