"""The embedded Postgres: one cluster, one database, durable commits, passwords over TCP only."""

import asyncio
import shutil
import signal
from pathlib import Path

import asyncpg

from deploy.local.binaries import postgres, readable
from deploy.local.errors import ServerStartError
from deploy.local.passwords import write_private
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.process import Command, Launcher
from deploy.local.server import RECOVERING

USER = "ganglion"
DATABASE = "ganglion"
COLLATION = ("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
"""How initdb makes a cluster, here and in a container: the wheel has no ICU, and no locale of the machine is asked for.

The builtin provider refuses the encoding that `--locale=C` alone stands for, so UTF8 is named.
"""
_INITDB_WITHIN = 60.0  # seconds

_SETTINGS = {
    "listen_addresses": LOOPBACK,
    # No unix socket: its path may have at most 107 bytes, and a checkout may lie deeper.
    "unix_socket_directories": "",
    "fsync": "on",
    "synchronous_commit": "on",
    "shared_buffers": "128MB",
    "max_connections": "100",
    # Checkpoints far apart and spread out, or every commit behind one waits for its writes.
    "max_wal_size": "1GB",
    "min_wal_size": "256MB",
    "checkpoint_timeout": "15min",
    "checkpoint_completion_target": "0.9",
    "jit": "off",
    # Without DETAIL lines: those quote rows, and rows hold what users wrote.
    "log_error_verbosity": "terse",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class PostgresRecipe:
    """How to run postgres below `home`."""

    name = "postgres"

    def __init__(self, home: Path, log: Path, password: str) -> None:
        self.data = home / "data"
        self._home = home
        self._log = log
        self._password = password
        self._port = 0

    @property
    def url(self) -> str:
        """`postgresql://user:password@host:port/ganglion`, as asyncpg takes it."""
        return self._url_of(DATABASE)

    def choose_ports(self) -> None:
        """Pick the port."""
        self._port = free_port()

    async def prepare(self, launcher: Launcher) -> None:
        """Initialise the cluster once; a run that was cut short is begun again."""
        self._binary = readable(postgres(), launcher.identity)
        if self.data.exists():
            return
        draft, secret = self._home / "draft", self._home / "password"
        shutil.rmtree(draft, ignore_errors=True)
        write_private(secret, self._password)
        if launcher.identity:
            launcher.identity.own(secret)
        process = launcher.launch(self._initdb(draft, secret))
        try:
            code = await process.wait(_INITDB_WITHIN)
        finally:
            await process.kill()
            secret.unlink()
        if code != 0:
            raise ServerStartError(f"initdb ended with code {code}\n{process.log_tail()}")
        await asyncio.to_thread(draft.rename, self.data)

    def command(self) -> Command:
        """`postgres -D DATA …` in the foreground; SIGINT is its fast shutdown."""
        settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
        argv = (
            str(self._binary),
            "-D",
            str(self.data),
            "-p",
            str(self._port),
            *settings,
        )
        return Command(argv, self._log, signal.SIGINT, env={"LC_ALL": "C", "TZ": "UTC"})

    async def greet(self) -> str | None:
        """Log in by password and make the database if this is the first time."""
        try:
            await _query(self.url, "SELECT 1")
        except asyncpg.InvalidCatalogNameError:
            await _query(self._url_of("postgres"), f'CREATE DATABASE "{DATABASE}"')
        except asyncpg.CannotConnectNowError:
            return RECOVERING
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
            return repr(error)
        return None

    def _url_of(self, database: str) -> str:
        return f"postgresql://{USER}:{self._password}@{LOOPBACK}:{self._port}/{database}"

    def _initdb(self, draft: Path, secret: Path) -> Command:
        argv = (
            str(self._binary.with_name("initdb")),
            *("-D", str(draft), "-U", USER, f"--pwfile={secret}", "--auth=scram-sha-256"),
            *COLLATION,
        )
        return Command(argv, self._log, env={"LC_ALL": "C", "TZ": "UTC"})


async def _query(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url, timeout=2)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
