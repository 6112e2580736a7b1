"""What asyncpg raises, in our words: the store is away, or the data cannot be kept."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from events.errors import PermanentError, StoreUnavailableError


class UnkeepableError(PermanentError):
    """A row holds what its column cannot."""

    code = "unkeepable"


_DATA = (
    ValueError,
    OverflowError,
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
)
AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What the driver raises when the server is away, or goes away in the middle of a statement."""


@contextmanager
def store_faults() -> Iterator[None]:
    """Raise UnkeepableError or StoreUnavailableError for what the driver raises inside."""
    try:
        yield
    except _DATA as error:
        raise UnkeepableError(type(error).__name__) from error
    except AWAY as error:
        raise StoreUnavailableError(type(error).__name__) from error


async def hang_up(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Close a connection, within a second even if the server is gone."""
    try:
        await connection.close(timeout=1.0)
    except AWAY:
        connection.terminate()
