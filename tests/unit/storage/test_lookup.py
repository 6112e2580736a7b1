"""Whoever looks a task up is answered, whatever the driver raises."""

import asyncio
from types import SimpleNamespace

import pytest
from pydantic import SecretStr

from events.errors import StoreUnavailableError
from events.ids import new_id
from storage.database import DatabaseSettings
from storage.lookup import PostgresLookup


@pytest.mark.parametrize(
    ("raised", "told"),
    [(ConnectionResetError, StoreUnavailableError), (RuntimeError, RuntimeError), (AttributeError, AttributeError)],
)
async def test_what_nobody_foresaw_reaches_all_who_wait(
    raised: type[Exception], told: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    lookup = PostgresLookup(DatabaseSettings(database_url=SecretStr("postgresql://nobody@127.0.0.1:1/none")))

    async def fail(*_: object) -> None:
        raise raised("as uvloop says of a transport that is closed")

    monkeypatch.setattr(lookup, "_pool", SimpleNamespace(fetch=fail))
    async with asyncio.timeout(2):
        found = await asyncio.gather(*(lookup.task(new_id()) for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in found] == [told] * 3
