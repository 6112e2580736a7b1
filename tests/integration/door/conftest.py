"""One doorstep for the tests of a module."""

from collections.abc import AsyncGenerator

import pytest_asyncio

from deploy.local.servers import Servers
from tests.support.databases import fresh_database
from tests.support.doorstep import Doorstep, a_doorstep
from tests.support.infrastructure import SharedServers, server_folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def doorstep(shared: SharedServers, template: str) -> AsyncGenerator[Doorstep]:
    """NATS with its users, keeper and gateway, shared by the tests of one module."""
    with server_folder() as folder:
        async with (
            Servers(folder, postgres=False, valkey=False) as servers,
            fresh_database(shared.database_url, template=template) as url,
            a_doorstep(servers, url) as doorstep,
        ):
            yield doorstep
