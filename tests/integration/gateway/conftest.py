"""A gateway with a keeper in the test's hand, on servers of its own."""

from collections.abc import AsyncGenerator

import httpx
import pytest
import pytest_asyncio
from nats.aio.client import Client
from pydantic import SecretStr

from deploy.local.server import Server
from producers.connect import BusSettings, Connection
from producers.topology import apply
from tests.support.databases import fresh_database
from tests.support.desk import Desk, a_desk
from tests.support.eventually import eventually
from tests.support.fake_keeper import FakeKeeper
from tests.support.infrastructure import SharedServers
from tests.support.running_gateway import ORIGIN, RunningGateway, hears, running_gateway, settings_for


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
            await eventually(lambda: hears(client))
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(module_nats_server: Server, shared: SharedServers, template: str) -> AsyncGenerator[Desk]:
    """Gateway, keeper and proposals consumer, shared by the tests of one module, each with workflows of its own."""
    async with (
        fresh_database(shared.database_url, template=template) as url,
        a_desk(module_nats_server.url, url) as desk,
    ):
        yield desk


@pytest.fixture
async def alice(gateway: RunningGateway) -> AsyncGenerator[httpx.AsyncClient]:
    """An HTTP client of an ordinary user."""
    async with gateway.client() as client:
        yield client
