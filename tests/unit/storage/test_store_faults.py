"""Whatever the driver raises when the server goes away is one error of ours: nothing else may end a keeper."""

import asyncpg
import pytest

from events.errors import StoreUnavailableError
from storage.faults import UnkeepableError, store_faults

AWAY = [
    OSError("reset"),
    TimeoutError("no answer"),
    asyncpg.InterfaceError("connection is closed"),
    asyncpg.CannotConnectNowError("starting up"),
    asyncpg.ConnectionDoesNotExistError("closed in the middle of an operation"),
    # Seen when the server was killed between the parts of one statement.
    asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress"),
]
DATA = [asyncpg.DataError("NUL"), asyncpg.UniqueViolationError("twice"), ValueError("lone surrogate")]


@pytest.mark.parametrize("error", AWAY, ids=repr)
def test_a_server_that_goes_away_is_a_store_that_is_unavailable(error: Exception) -> None:
    with pytest.raises(StoreUnavailableError), store_faults():
        raise error


@pytest.mark.parametrize("error", DATA, ids=repr)
def test_data_that_cannot_be_kept_is_not_mistaken_for_an_absent_server(error: Exception) -> None:
    with pytest.raises(UnkeepableError), store_faults():
        raise error
