"""The embedded servers: passwords, users, persistence, crashes, orphans, two stacks on one folder."""

import asyncio
import json
import os
import pwd
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx
import nats
import pytest
import pytest_asyncio
from nats.aio.client import Client
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError

from deploy.local.binaries import nats_server, readable
from deploy.local.errors import ServerStartError, StateInUseError
from deploy.local.identity import unprivileged
from deploy.local.nats import LogSync
from deploy.local.ports import free_port
from deploy.local.server import Server
from deploy.local.servers import Servers, data_home
from deploy.local.wipe import wipe
from tests.support.eventually import eventually
from tests.support.infrastructure import server_folder
from tests.support.processes import command_line, is_gone, user_of

ROOT = Path(__file__).parents[2]
START_AND_WAIT = """
import asyncio, json, sys
from pathlib import Path
from deploy.local.identity import unprivileged
from deploy.local.nats import LogSync
from deploy.local.server import Server
from deploy.local.servers import Servers, data_home
from deploy.local.wipe import wipe

async def main() -> None:
    async with Servers(Path(sys.argv[1])) as servers:
        print(json.dumps(servers.pids), flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def without_password(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{parts.hostname}:{parts.port}"))


async def connect(url: str) -> Client:
    async def ignore(_: Exception) -> None: ...

    return await nats.connect(
        url, allow_reconnect=False, reconnect_time_wait=0, max_reconnect_attempts=1, error_cb=ignore
    )


async def store_everywhere(servers: Servers) -> None:
    client = await connect(servers.nats_url)
    await client.jetstream().add_stream(name="KEPT", subjects=["kept"])
    await client.jetstream().publish("kept", b"1")
    await client.close()
    database = await asyncpg.connect(servers.database_url)
    await database.execute("CREATE TABLE kept AS SELECT 1 AS value")
    await database.close()
    async with Redis.from_url(servers.redis_url) as redis:
        await redis.set("kept", "1")


async def stored_everywhere(servers: Servers) -> tuple[object, object, object]:
    client = await connect(servers.nats_url)
    messages = (await client.jetstream().stream_info("KEPT")).state.messages
    await client.close()
    database = await asyncpg.connect(servers.database_url)
    rows = await database.fetchval("SELECT count(*) FROM kept")
    await database.close()
    async with Redis.from_url(servers.redis_url) as redis:
        value = await redis.get("kept")
    return messages, rows, value


@pytest.fixture
def killed_stack(state_folder: Path) -> Generator[dict[str, int]]:
    """The server pids of a parent that was killed a moment ago."""
    parent = subprocess.Popen(  # noqa: S603 - our own interpreter on the text above
        [sys.executable, "-c", START_AND_WAIT, str(state_folder)], stdout=subprocess.PIPE, cwd=ROOT
    )
    assert parent.stdout is not None
    with parent.stdout:
        pids: dict[str, int] = json.loads(parent.stdout.readline())
    parent.kill()
    parent.wait()
    yield pids
    for pid in pids.values():
        if not is_gone(pid):
            os.kill(pid, signal.SIGKILL)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def standing() -> AsyncGenerator[tuple[Servers, Path]]:
    """Servers, and their state folder, for the tests that only look."""
    with server_folder() as folder:
        async with Servers(folder) as servers:
            yield servers, folder


@pytest.mark.asyncio(loop_scope="module")
async def test_nats_refuses_a_connection_without_the_password(standing: tuple[Servers, Path]) -> None:
    address = urlsplit(standing[0].nats_url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(b'CONNECT {"verbose":false}\r\nPING\r\n')
    answers = await reader.read(-1)
    writer.close()
    await writer.wait_closed()
    assert b"-ERR 'Authorization Violation'" in answers
    assert b"PONG" not in answers


@pytest.mark.asyncio(loop_scope="module")
async def test_postgres_refuses_a_connection_without_the_password(standing: tuple[Servers, Path]) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(without_password(standing[0].database_url), user="ganglion", password="")


@pytest.mark.asyncio(loop_scope="module")
async def test_valkey_refuses_a_connection_without_the_password(standing: tuple[Servers, Path]) -> None:
    async with Redis.from_url(without_password(standing[0].redis_url)) as redis:
        with pytest.raises(AuthenticationError):
            await redis.get("kept")


@pytest.mark.asyncio(loop_scope="module")
async def test_postgres_commits_durably(standing: tuple[Servers, Path]) -> None:
    database = await asyncpg.connect(standing[0].database_url)
    settings = [await database.fetchval(f"SHOW {name}") for name in ("fsync", "synchronous_commit")]
    await database.close()
    assert settings == ["on", "on"]


@pytest.mark.parametrize(
    ("log_sync", "expected"),
    [
        ("100ms", {"sync_interval": 100_000_000}),  # nanoseconds
        ("always", {"sync_always": True}),
    ],
)
async def test_the_log_is_flushed_as_often_as_asked(
    state_folder: Path, log_sync: LogSync, expected: dict[str, object]
) -> None:
    async with Servers(state_folder, postgres=False, valkey=False, log_sync=log_sync):
        pass
    config = state_folder / "nats" / "nats.conf"
    assert "http" not in config.read_text(), "statistics would be open to whoever may connect"
    monitor = free_port()
    command = (str(readable(nats_server(), None)), "-c", str(config), "-m", str(monitor))
    process = await asyncio.create_subprocess_exec(*command, stderr=subprocess.DEVNULL)
    try:
        async with httpx.AsyncClient(trust_env=False) as client:
            statistics = await eventually(lambda: _statistics(client, monitor))
    finally:
        process.kill()
        await process.wait()
    assert isinstance(statistics, dict)
    assert expected.items() <= statistics["jetstream"]["config"].items()


async def _statistics(client: httpx.AsyncClient, port: int) -> object:
    try:
        return (await client.get(f"http://127.0.0.1:{port}/varz")).json()
    except httpx.TransportError:
        return None


@pytest.mark.asyncio(loop_scope="module")
async def test_root_never_runs_a_server(standing: tuple[Servers, Path]) -> None:
    expected = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else os.geteuid()
    pids = [pid for pid in standing[0].pids.values() if pid]
    assert [user_of(pid) for pid in pids] == [expected] * 3


@pytest.mark.asyncio(loop_scope="module")
async def test_secrets_and_logs_are_closed_to_others(standing: tuple[Servers, Path]) -> None:
    folder = standing[1]
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder / "secrets").iterdir()}
    assert {"nats", "nats-reflex", "nats-issuer", "postgres", "valkey"} <= set(modes)
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE((folder / "secrets").stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "logs").stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "nats" / "nats.conf").stat().st_mode) == 0o600


@pytest.mark.asyncio(loop_scope="module")
async def test_no_password_shows_in_the_process_list(standing: tuple[Servers, Path]) -> None:
    servers, folder = standing
    secrets = [path.read_text() for path in (folder / "secrets").iterdir()]
    shown = "".join(command_line(pid) for pid in servers.pids.values() if pid)
    assert "nats.conf" in shown
    assert not [secret for secret in secrets if secret in shown]


async def test_a_warm_restart_keeps_data_and_passwords(state_folder: Path) -> None:
    async with Servers(state_folder) as servers:
        await store_everywhere(servers)
        first = urlsplit(servers.nats_url).password
    async with Servers(state_folder) as servers:
        assert await stored_everywhere(servers) == (1, 1, b"1")
        assert urlsplit(servers.nats_url).password == first


async def test_each_server_survives_kill_nine_at_the_same_url(servers: Servers) -> None:
    await store_everywhere(servers)
    before = (servers.nats_url, servers.database_url, servers.redis_url)
    for server in (servers.nats, servers.postgres, servers.valkey):
        await server.kill()
        assert server.pid is None
        await server.start()
    assert (servers.nats_url, servers.database_url, servers.redis_url) == before
    assert await stored_everywhere(servers) == (1, 1, b"1")


async def test_a_wiped_nats_comes_back_empty_at_the_same_url(nats_server: Server) -> None:
    client = await connect(nats_server.url)
    await client.jetstream().add_stream(name="KEPT", subjects=["kept"])
    await client.close()
    await nats_server.wipe()
    await nats_server.start()
    client = await connect(nats_server.url)
    assert await client.jetstream().streams_info() == []
    await client.close()


async def test_a_paused_server_stops_all_the_same(nats_server: Server) -> None:
    nats_server.pause()
    assert await nats_server.stop(within=5) == 0


async def test_a_stack_below_a_private_folder_starts_and_can_be_wiped(state_folder: Path) -> None:
    private = state_folder / "private"
    private.mkdir(mode=0o700)
    home = private / "state"
    async with Servers(home, postgres=False, nats=False) as servers:
        async with Redis.from_url(servers.redis_url) as redis:
            assert await redis.ping()
        data = data_home(home, unprivileged())
        assert (data / "valkey" / "data").is_dir()
        with pytest.raises(StateInUseError):
            await asyncio.to_thread(wipe, home)
    await asyncio.to_thread(wipe, home)
    assert not home.exists()
    assert not data.exists()


async def test_a_second_stack_on_the_same_folder_is_refused(state_folder: Path) -> None:
    async with Servers(state_folder, postgres=False, valkey=False):
        with pytest.raises(StateInUseError, match="GANGLION_HOME"):
            await Servers(state_folder, postgres=False, valkey=False).start()


async def test_a_killed_parent_leaves_no_server_behind_and_its_folder_free(
    killed_stack: dict[str, int], state_folder: Path
) -> None:
    async with Servers(state_folder) as servers:
        assert all(is_gone(pid) for pid in killed_stack.values())
        await store_everywhere(servers)


async def test_a_server_that_cannot_start_says_why_and_stops_the_others(state_folder: Path) -> None:
    (state_folder / "postgres").mkdir()
    (state_folder / "postgres" / "data").mkdir()
    stack = Servers(state_folder)
    with pytest.raises(ServerStartError, match="postgres did not start"):
        await stack.start(within=1)
    assert not any(stack.pids.values())


async def test_no_stranger_becomes_a_node_of_the_cluster(state_folder: Path) -> None:
    async with Servers(state_folder, postgres=False, valkey=False, nats_nodes=3):
        config = (state_folder / "nats" / "nats.conf").read_text()
        listen = config.split("cluster {", 1)[1].split('listen: "', 1)[1].split('"', 1)[0]
        host, _, port = listen.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        assert (await reader.readline()).startswith(b"INFO ")
        writer.write(b'CONNECT {"verbose":false,"name":"stranger","cluster":"ganglion"}\r\nPING\r\n')
        said = await asyncio.wait_for(reader.read(), timeout=10)
        writer.close()
    assert b"Authorization" in said
