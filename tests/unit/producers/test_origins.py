"""Whether what is in hand is still of the durable that is there, where the server says nothing."""

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

import pytest
from nats.aio.client import Client

from events.streams import REFLEX
from producers.origins import Origin, Origins
from producers.pull import Pull


async def test_one_that_waited_in_vain_has_waited_for_all_of_its_pull(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(_: Origins) -> None:
        raise TimeoutError

    monkeypatch.setattr(Origins, "_ask", silent)
    origins = Origins(cast("Client", SimpleNamespace(stats={"reconnects": 0})), REFLEX.stream, REFLEX.name)
    origin = Origin(cast("Pull", None), datetime.now(UTC))
    assert not await origins.still(origin)
    assert origin.made is not None  # who only looked does not give up for those who wait
    assert not await origins.still(origin, patience=0.01)
    async with asyncio.timeout(5):
        assert not await origins.still(origin, patience=3_600)
