"""A gateway with a keeper in the test's hand, on servers of its own."""

from collections.abc import AsyncGenerator

import httpx
import pytest
from nats.aio.client import Client
from pydantic import SecretStr

from producers.connect import BusSettings, Connection
from producers.topology import apply
from tests.support.eventually import eventually
from tests.support.fake_keeper import FakeKeeper
from tests.support.running_gateway import RunningGateway, running_gateway, settings_for

ORIGIN = "https://app.example"


@pytest.fixture
async def bus(nats_url: str) -> AsyncGenerator[Client]:
    """A connection to a bus with its streams."""
    async with Connection(BusSettings(nats_url=SecretStr(nats_url)), "test") as client:
        await apply(client)
        yield client


@pytest.fixture
async def keeper(bus: Client, database_url: str) -> AsyncGenerator[FakeKeeper]:
    """Commits what the gateway publishes."""
    async with FakeKeeper(bus, database_url) as keeper:
        yield keeper


@pytest.fixture
async def gateway(keeper: FakeKeeper, nats_url: str, database_url: str) -> AsyncGenerator[RunningGateway]:
    """A gateway that reads and hears the keeper."""
    async with running_gateway(settings_for(nats_url, database_url, origins=(ORIGIN,))) as running:
        async with running.client() as client:
            await eventually(lambda: _hears(client))
        yield running


async def _hears(client: httpx.AsyncClient) -> bool:
    checks = (await client.get("/readyz?verbose")).json()["checks"]
    return bool(checks["hub"]["ok"] and checks["nats"]["ok"])


@pytest.fixture
async def alice(gateway: RunningGateway) -> AsyncGenerator[httpx.AsyncClient]:
    """An HTTP client of an ordinary user."""
    async with gateway.client() as client:
        yield client
