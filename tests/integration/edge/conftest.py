"""One gateway, with a keeper in the test's hand, for all tests of a module: none asks what came before it."""

from collections.abc import AsyncGenerator
from uuid import uuid4

import httpx
import pytest_asyncio
from nats.aio.client import Client
from pydantic import SecretStr

from deploy.local.server import Server
from producers.connect import BusSettings, Connection
from producers.topology import apply
from tests.support.databases import fresh_database
from tests.support.eventually import eventually
from tests.support.fake_keeper import FakeKeeper
from tests.support.infrastructure import SharedServers
from tests.support.running_gateway import ORIGIN, RunningGateway, hears, running_gateway, settings_for, token


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def database_url(shared: SharedServers, template: str) -> AsyncGenerator[str]:
    """A migrated database of this module's own."""
    async with fresh_database(shared.database_url, template=template) as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bus(module_nats_server: Server) -> AsyncGenerator[Client]:
    """A connection to a bus with its streams."""
    async with Connection(BusSettings(nats_url=SecretStr(module_nats_server.url)), "test") as client:
        await apply(client)
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def keeper(bus: Client, database_url: str) -> AsyncGenerator[FakeKeeper]:
    """Commits what the gateway publishes."""
    async with FakeKeeper(bus, database_url) as keeper:
        yield keeper


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(keeper: FakeKeeper, module_nats_server: Server, database_url: str) -> AsyncGenerator[RunningGateway]:
    """A gateway that reads and hears the keeper."""
    async with running_gateway(settings_for(module_nats_server.url, database_url, origins=(ORIGIN,))) as running:
        async with running.client() as client:
            await eventually(lambda: hears(client))
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def alice(gateway: RunningGateway) -> AsyncGenerator[httpx.AsyncClient]:
    """An HTTP client of an ordinary user."""
    async with gateway.client() as client:
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def newcomer(gateway: RunningGateway) -> AsyncGenerator[httpx.AsyncClient]:
    """An HTTP client of a user who has no tasks yet."""
    async with gateway.client(token(f"user-{uuid4()}")) as client:
        yield client
