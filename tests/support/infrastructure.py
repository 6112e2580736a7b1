"""The servers a test session shares: embedded ones, or containers with TEST_INFRA=containers."""

import os
import shutil
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local.servers import Servers


@dataclass(frozen=True)
class SharedServers:
    """Where Postgres and Valkey are."""

    database_url: str
    redis_url: str


@contextmanager
def server_folder() -> Generator[Path]:
    """A new folder that the servers' user may enter, which pytest's own temporary folders are not for root."""
    folder = Path(tempfile.mkdtemp(prefix="ganglion-test-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def uses_containers() -> bool:
    """Whether TEST_INFRA asks for containers (default: embedded servers)."""
    kind = os.environ.get("TEST_INFRA", "embedded")
    if kind not in {"embedded", "containers"}:
        raise ValueError(f"TEST_INFRA must be embedded or containers, not {kind!r}")
    return kind == "containers"


@asynccontextmanager
async def shared_servers() -> AsyncGenerator[SharedServers]:
    """Postgres and Valkey for one test session."""
    if uses_containers():
        with containers() as servers:
            yield servers
        return
    with server_folder() as folder:
        async with Servers(folder, nats=False) as own:
            yield SharedServers(own.database_url, own.redis_url)


@contextmanager
def containers() -> Generator[SharedServers]:
    """The official images of Postgres and Valkey.

    Not run yet: no machine of ours has a container engine.
    """
    # Imported here: the modules look for the engine, and warn, when imported.
    from testcontainers.community.postgres import PostgresContainer  # noqa: PLC0415 - as above
    from testcontainers.community.redis import RedisContainer  # noqa: PLC0415 - as above

    with PostgresContainer("postgres:18", driver=None) as postgres, RedisContainer("valkey/valkey:9") as valkey:
        redis_url = f"redis://{valkey.get_container_host_ip()}:{valkey.get_exposed_port(6379)}/0"
        yield SharedServers(postgres.get_connection_url(), redis_url)


@contextmanager
def nats_container() -> Generator[str]:
    """The URL of an official nats-server with JetStream; not run yet, as above."""
    from testcontainers.community.nats import NatsContainer  # noqa: PLC0415 - as above

    with NatsContainer("nats:2.15").with_command("-js") as bus:
        yield bus.nats_uri()
