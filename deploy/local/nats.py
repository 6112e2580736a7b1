"""The embedded nats-server: JetStream on disk, a user for each role, loopback only."""

import asyncio
import json
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import nats
from nats.errors import Error as NatsError

from deploy.local.binaries import nats_server, readable
from deploy.local.passwords import kept_password, kept_secret, write_private
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.process import Command, Launcher
from deploy.nats_conf import accounts
from producers.nkeys import AccountKey
from producers.permissions import ADMIN, users

LogSync = Literal["100ms", "always"]

_CONFIG = """\
server_name: {name}
listen: "{host}:{port}"
max_payload: 1MB
{accounts}jetstream {{
  store_dir: {store}
  max_file_store: 8GB
  max_memory_store: 256MB
  sync_interval: {sync}
}}
{cluster}"""
_CLUSTER = """\
cluster {{
  name: ganglion
  listen: "{host}:{port}"
  authorization {{ user: "route", password: {password}, timeout: 2 }}
  routes: {routes}
}}
"""


@dataclass(frozen=True)
class NatsSecrets:
    """The password of each role's user and of the nodes among themselves, and the seed that signs outsiders' rights."""

    passwords: Mapping[str, str]
    issuer_seed: str
    route: str

    @classmethod
    def kept(cls, folder: Path) -> "NatsSecrets":
        """Those below `folder`, drawn at the first call."""
        names = {role: "nats" if role == ADMIN else f"nats-{role}" for role in users()}
        passwords = {role: kept_password(folder, name) for role, name in names.items()}
        issuer = kept_secret(folder, "nats-issuer", lambda: AccountKey.draw().seed)
        return cls(passwords, issuer, kept_password(folder, "nats-route"))


class NatsRecipe:
    """How to run nats-server below `home`; `sync` is how often JetStream flushes to the disk.

    `routes` are the ports on which the nodes of a cluster find each other, `node` says which of them is this one's.
    """

    def __init__(
        self,
        home: Path,
        log: Path,
        secrets: NatsSecrets,
        sync: LogSync = "100ms",
        *,
        node: int = 0,
        routes: Sequence[int] = (),
    ) -> None:
        self.name = "nats" if node == 0 else f"nats-{node + 1}"
        self.data = home / "jetstream"
        self._route = routes[node] if routes else None
        self._routes = routes
        self._home = home
        self._log = log
        self._secrets = secrets
        self._sync = sync
        self._port = 0

    @property
    def url(self) -> str:
        """`nats://user:password@host:port` of the admin."""
        return f"nats://{ADMIN}:{self._secrets.passwords[ADMIN]}@{LOOPBACK}:{self._port}"

    def choose_ports(self) -> None:
        """Pick the port."""
        self._port = free_port()

    async def prepare(self, launcher: Launcher) -> None:
        """Write the configuration, which holds the passwords, for the server's eyes only."""
        self.data.mkdir(mode=0o700, exist_ok=True)
        write_private(self._config, self._configuration())
        if launcher.identity:
            launcher.identity.own(self.data)
            launcher.identity.own(self._config)
        self._binary = readable(nats_server(), launcher.identity)

    def command(self) -> Command:
        """`nats-server -c FILE`; SIGINT ends it with code 0, SIGTERM with 1."""
        return Command((str(self._binary), "-c", str(self._config)), self._log, signal.SIGINT)

    async def greet(self) -> str | None:
        """Log in and ask for the JetStream account, once it greets at all."""

        async def ignore(_: Exception) -> None:
            """Failures are expected while it starts, and are returned."""

        try:
            # First by hand: nats-py leaves a socket open when a server hangs up on it.
            if not await _says_info(self._port):
                return "no INFO line"
            client = await nats.connect(
                self.url,
                allow_reconnect=False,
                reconnect_time_wait=0,
                max_reconnect_attempts=1,
                connect_timeout=2,
                error_cb=ignore,
            )
        except (OSError, NatsError, TimeoutError) as error:
            return repr(error)
        try:
            await client.jetstream().account_info()
        except (OSError, NatsError, TimeoutError) as error:
            return repr(error)
        finally:
            await client.close()
        return None

    @property
    def _config(self) -> Path:
        return self._home / "nats.conf"

    def _password(self, role: str) -> str:
        return json.dumps(self._secrets.passwords[role])

    def _configuration(self) -> str:
        return _CONFIG.format(
            name="ganglion" if self._route is None else self.name,
            cluster=self._cluster(),
            host=LOOPBACK,
            port=self._port,
            accounts=accounts(self._password, AccountKey.from_seed(self._secrets.issuer_seed).public),
            store=json.dumps(str(self.data)),
            sync=self._sync,
        )

    def _cluster(self) -> str:
        if self._route is None:
            return ""
        password = self._secrets.route
        others = [f"nats://route:{password}@{LOOPBACK}:{port}" for port in self._routes if port != self._route]
        return _CLUSTER.format(
            host=LOOPBACK, port=self._route, routes=json.dumps(others), password=json.dumps(password)
        )


async def _says_info(port: int) -> bool:
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    try:
        return (await asyncio.wait_for(reader.readline(), timeout=2)).startswith(b"INFO ")
    finally:
        writer.close()
        await writer.wait_closed()
