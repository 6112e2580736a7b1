"""The servers a test session shares: embedded ones, or containers with TEST_INFRA=containers."""

import os
import shutil
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from deploy.local.server import Server
from deploy.local.servers import Servers
from producers.connect import BusSettings, Connection
from tests.support.clusters import with_cluster
from tests.support.scratch import new_folder


@dataclass(frozen=True)
class SharedServers:
    """Where Postgres and Valkey are."""

    database_url: str
    redis_url: str


@contextmanager
def server_folder() -> Generator[Path]:
    """A folder for servers; GANGLION_TEST_KEEP leaves it there, with logs and data, to find out what went wrong."""
    folder = new_folder()
    try:
        yield folder
    finally:
        if not os.environ.get("GANGLION_TEST_KEEP"):
            shutil.rmtree(folder, ignore_errors=True)


def uses_containers() -> bool:
    """Whether TEST_INFRA asks for containers (default: embedded servers)."""
    kind = os.environ.get("TEST_INFRA", "embedded")
    if kind not in {"embedded", "containers"}:
        raise ValueError(f"TEST_INFRA must be embedded or containers, not {kind!r}")
    return kind == "containers"


@asynccontextmanager
async def own_nats() -> AsyncGenerator[Server]:
    """An embedded nats-server."""
    with server_folder() as folder:
        async with Servers(folder, postgres=False, valkey=False) as servers:
            yield servers.nats


async def emptied(server: Server) -> None:
    """It runs, whatever an earlier test did to it, and has no streams."""
    server.resume()
    await server.start()
    async with Connection(BusSettings(nats_url=SecretStr(server.url)), "test") as client:
        js = client.jetstream()
        for info in await js.streams_info():
            await js.delete_stream(str(info.config.name))


@asynccontextmanager
async def shared_servers() -> AsyncGenerator[SharedServers]:
    """Postgres and Valkey for one test session."""
    if uses_containers():
        with containers() as servers:
            yield servers
        return
    with server_folder() as folder:
        async with Servers(await with_cluster(folder), nats=False) as own:
            yield SharedServers(own.database_url, own.redis_url)


@contextmanager
def containers() -> Generator[SharedServers]:
    """The official images of Postgres and Valkey.

    Not run yet: no machine of ours has a container engine.
    """
    # Imported here: they look for the engine, and only this branch needs one.
    from testcontainers.community.postgres import PostgresContainer  # noqa: PLC0415 - as above
    from testcontainers.community.valkey import ValkeyContainer  # noqa: PLC0415 - as above

    with PostgresContainer("postgres:18", driver=None) as postgres, ValkeyContainer("valkey/valkey:9") as valkey:
        redis_url = f"redis://{valkey.get_host()}:{valkey.get_exposed_port()}/0"
        yield SharedServers(postgres.get_connection_url(), redis_url)


@contextmanager
def nats_container() -> Generator[str]:
    """The URL of an official nats-server with JetStream; not run yet, as above."""
    # Not community.nats: importing it warns, and warnings are errors here.
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - as above
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy  # noqa: PLC0415 - as above

    bus = DockerContainer("nats:2.15-alpine").with_command("-js").with_exposed_ports(4222)
    with bus.waiting_for(LogMessageWaitStrategy("Server is ready")):
        yield f"nats://{bus.get_container_host_ip()}:{bus.get_exposed_port(4222)}"
