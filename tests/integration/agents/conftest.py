"""One agency for the tests of this folder."""

from collections.abc import AsyncGenerator

import httpx
import pytest_asyncio
from redis.asyncio import Redis

from deploy.local.servers import Servers
from tests.support.agency import Agency, an_agency
from tests.support.databases import fresh_database
from tests.support.infrastructure import SharedServers, server_folder


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def agency(shared: SharedServers, template: str) -> AsyncGenerator[Agency]:
    """All that agents need, shared by all tests of this folder."""
    redis = Redis.from_url(shared.redis_url)
    await redis.flushall()
    await redis.aclose()
    with server_folder() as folder:
        async with (
            Servers(folder, postgres=False, valkey=False) as servers,
            fresh_database(shared.database_url, template=template) as url,
            an_agency(servers, url, shared.redis_url) as agency,
        ):
            yield agency


@pytest_asyncio.fixture(loop_scope="package")
async def alice(agency: Agency) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of somebody who may register agents; all agents leave afterwards."""
    async with agency.http() as alice:
        yield alice
    await agency.leave()
    await agency.clear()
