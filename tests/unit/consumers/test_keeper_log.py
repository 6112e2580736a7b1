"""What the keeper's log says of an outage: when it begins, and when the keeper leads again."""

import asyncio
from contextlib import suppress

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from consumers.keeper import consumer
from consumers.keeper.consumer import Keeper, KeeperSettings
from events.errors import LeaseLostError, StoreUnavailableError
from producers.client import BusClient
from producers.publisher import Publisher
from storage.database import DatabaseSettings
from tests.support.eventually import eventually


class Unlucky(Keeper):
    """One whose every term ends at once: by an absent database, and then by a rival."""

    terms = 0

    async def _lead(self) -> None:
        self.terms += 1
        if self.terms > 20:
            await asyncio.Event().wait()
        raise StoreUnavailableError if self.terms <= 10 else LeaseLostError


async def test_an_outage_is_told_once_and_not_at_every_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "_AGAIN_AFTER", 0)
    client = BusClient()
    nowhere = DatabaseSettings(database_url=SecretStr("postgresql://nobody@nowhere/nothing"))
    keeper = Unlucky(client, Publisher(client), nowhere, KeeperSettings())
    with capture_logs() as said:
        running = asyncio.create_task(keeper.run())
        await eventually(lambda: keeper.terms > 20)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    assert [line["reasons"] for line in said] == [["StoreUnavailableError"], ["LeaseLostError"]]
