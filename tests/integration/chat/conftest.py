"""One parlour a test, on the module's own NATS."""

from collections.abc import AsyncGenerator

import pytest

from deploy.local.server import Server
from tests.support.parlour import Parlour, Talker, a_parlour


@pytest.fixture
async def parlour(module_nats_server: Server, database_url: str) -> AsyncGenerator[Parlour]:
    async with a_parlour(module_nats_server.url, database_url) as parlour:
        yield parlour


@pytest.fixture
async def alice(parlour: Parlour) -> Talker:
    return await parlour.client("alice")
