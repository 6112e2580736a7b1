"""Real servers for the tests that ask for them; nothing starts by itself."""

from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest
import pytest_asyncio
import structlog
from hypothesis import settings
from redis.asyncio import Redis

from deploy.local.server import Server
from deploy.local.servers import Servers
from tests.support.clusters import share_cluster, with_cluster
from tests.support.databases import Spare, fresh_database, migrated_template
from tests.support.infrastructure import (
    SharedServers,
    emptied,
    nats_container,
    own_nats,
    server_folder,
    shared_servers,
    uses_containers,
)
from tests.support.lanes import (
    pytest_collection,
    pytest_collection_modifyitems,
    pytest_xdist_make_scheduler,
)
from tests.support.promises import pytest_addoption, pytest_configure, pytest_runtest_makereport
from tests.support.strangers import absent

__all__ = [
    "pytest_addoption",
    "pytest_collection",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_runtest_makereport",
    "pytest_xdist_make_scheduler",
]

share_cluster()
settings.register_profile("shared machine", deadline=None)  # a busy neighbour is no defect
settings.load_profile("shared machine")
# structlog's own default draws every local variable of every frame: seconds, on a busy machine.
structlog.configure(
    processors=[
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which clients of other people could not be tried here."""
    for name, why in absent().items():
        terminalreporter.write_line(f"not run: {name} as a client: {why}")


@pytest.fixture
def state_folder() -> Generator[Path]:
    """A folder for a stack of a test's own."""
    with server_folder() as folder:
        yield folder


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared() -> AsyncGenerator[SharedServers]:
    """Postgres and Valkey of this session."""
    async with shared_servers() as servers:
        yield servers


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def template(shared: SharedServers) -> AsyncGenerator[str]:
    """The name of the migrated database that `database_url` is copied from."""
    async with migrated_template(shared.database_url) as name:
        yield name


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def spare(shared: SharedServers, template: str) -> AsyncGenerator[Spare]:
    """The database that one test after the other has for itself."""
    async with Spare(shared.database_url, template) as spare:
        yield spare


@pytest.fixture
async def database_url(spare: Spare) -> AsyncGenerator[str]:
    """A migrated, empty database of this test's own (`postgresql://…`, as asyncpg takes it)."""
    async with spare.lend() as url:
        yield url


@pytest.fixture
async def bare_database_url(shared: SharedServers) -> AsyncGenerator[str]:
    """A database of this test's own without any table."""
    async with fresh_database(shared.database_url) as url:
        yield url


@pytest.fixture
async def redis_url(shared: SharedServers) -> str:
    """The session's Valkey, emptied."""
    client = Redis.from_url(shared.redis_url)
    await client.flushall()
    await client.aclose()
    return shared.redis_url


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_nats() -> AsyncGenerator[Server]:
    """The nats-server that one test after the other has for itself."""
    async with own_nats() as server:
        yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_module_nats() -> AsyncGenerator[Server]:
    """The nats-server that one module after the other has for itself."""
    async with own_nats() as server:
        yield server


@pytest.fixture
async def empty_nats(shared_nats: Server) -> Server:
    """The session's nats-server, emptied."""
    await emptied(shared_nats)
    return shared_nats


@pytest.fixture
async def nats_server() -> AsyncGenerator[Server]:
    """A nats-server of this test's own, to kill, pause, wipe and start again; always embedded."""
    async with own_nats() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def module_nats_server(shared_module_nats: Server) -> Server:
    """A nats-server that the tests of one module share, for those that only read or use their own subjects."""
    await emptied(shared_module_nats)
    return shared_module_nats


@pytest.fixture
def nats_url(request: pytest.FixtureRequest) -> Generator[str]:
    """A JetStream of this test's own, without streams; on its `nats_server` if it asks for one, to break it."""
    if uses_containers():
        with nats_container() as url:
            yield url
        return
    server = request.getfixturevalue("nats_server" if "nats_server" in request.fixturenames else "empty_nats")
    assert isinstance(server, Server)
    yield server.url


@pytest.fixture
async def servers(state_folder: Path) -> AsyncGenerator[Servers]:
    """NATS, migrated Postgres and Valkey of this test's own, to kill, pause, wipe and start again; always embedded."""
    async with Servers(await with_cluster(state_folder)) as own:
        yield own
