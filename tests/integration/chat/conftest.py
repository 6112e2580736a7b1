"""One parlour for the tests of a module; each test has users of its own and a guest who remembers nothing."""

import itertools
from collections.abc import AsyncGenerator

import pytest_asyncio

from deploy.local.server import Server
from tests.support.databases import fresh_database
from tests.support.infrastructure import SharedServers
from tests.support.parlour import Parlour, Talker, a_parlour

_number = itertools.count(1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def module_parlour(module_nats_server: Server, shared: SharedServers, template: str) -> AsyncGenerator[Parlour]:
    async with (
        fresh_database(shared.database_url, template=template) as url,
        a_parlour(module_nats_server.url, url) as parlour,
    ):
        yield parlour


@pytest_asyncio.fixture(loop_scope="module")
async def parlour(module_parlour: Parlour) -> Parlour:
    """The module's, with nobody at work."""
    module_parlour.guest.forget()
    return module_parlour


@pytest_asyncio.fixture(loop_scope="module")
async def alice(parlour: Parlour) -> Talker:
    """Somebody new."""
    return await parlour.client(f"alice-{next(_number)}")


@pytest_asyncio.fixture(loop_scope="module")
async def eve(parlour: Parlour) -> Talker:
    """Somebody else of the same tenant."""
    return await parlour.client(f"eve-{next(_number)}")
