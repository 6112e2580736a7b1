"""The embedded valkey-server: append-only file, password, loopback only."""

import json
import signal
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import BusyLoadingError, RedisError

from deploy.local.binaries import readable, valkey_server
from deploy.local.passwords import write_private
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.process import Command, Launcher
from deploy.local.server import RECOVERING

_CONFIG = """\
bind {host}
port {port}
requirepass {password}
dir {data}
appendonly yes
appendfsync everysec
save ""
maxmemory 256mb
maxmemory-policy noeviction
"""


class ValkeyRecipe:
    """How to run valkey-server below `home`."""

    name = "valkey"

    def __init__(self, home: Path, log: Path, password: str) -> None:
        self.data = home / "data"
        self._home = home
        self._log = log
        self._password = password
        self._port = 0

    @property
    def url(self) -> str:
        """`redis://:password@host:port/0`."""
        return f"redis://:{self._password}@{LOOPBACK}:{self._port}/0"

    def choose_ports(self) -> None:
        """Pick the port."""
        self._port = free_port()

    async def prepare(self, launcher: Launcher) -> None:
        """Write the configuration, which holds the password, for the server's eyes only."""
        self.data.mkdir(mode=0o700, exist_ok=True)
        text = _CONFIG.format(host=LOOPBACK, port=self._port, password=self._password, data=json.dumps(str(self.data)))
        write_private(self._config, text)
        if launcher.identity:
            launcher.identity.own(self.data)
            launcher.identity.own(self._config)
        self._binary = readable(valkey_server(), launcher.identity)

    def command(self) -> Command:
        """`valkey-server FILE` in the foreground."""
        return Command((str(self._binary), str(self._config)), self._log, signal.SIGTERM)

    async def greet(self) -> str | None:
        """Log in and ping; it answers LOADING until its file is read."""
        client = Redis.from_url(self.url, socket_timeout=2, socket_connect_timeout=2)
        try:
            await client.ping()
        except BusyLoadingError:
            return RECOVERING
        except (OSError, RedisError, TimeoutError) as error:
            return repr(error)
        finally:
            await client.aclose()
        return None

    @property
    def _config(self) -> Path:
        return self._home / "valkey.conf"
