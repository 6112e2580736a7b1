"""NATS, Postgres and Valkey together, below one state folder."""

import asyncio
import hashlib
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.local.errors import StackError
from deploy.local.identity import Identity, unprivileged
from deploy.local.lock import StateLock
from deploy.local.nats import LogSync, NatsRecipe, NatsSecrets
from deploy.local.passwords import kept_password
from deploy.local.ports import free_port
from deploy.local.postgres import PostgresRecipe
from deploy.local.process import Launcher
from deploy.local.server import Recipe, Server
from deploy.local.valkey import ValkeyRecipe
from deploy.local.watchdog import Watchdog

_ELSEWHERE = Path("/var/lib/ganglion/data")


class Servers:
    """The chosen servers, started side by side; `async with` starts and stops them. `nats_nodes` make a cluster.

    They run as `nobody` when we are root, on free loopback ports, each with a password kept in
    `state/secrets`. They end when this process does, however it ends; their data stays below `state`.
    Raises StateInUseError when another stack holds `state`.
    """

    def __init__(
        self,
        state: Path,
        *,
        nats: bool = True,
        postgres: bool = True,
        valkey: bool = True,
        log_sync: LogSync = "100ms",
        nats_nodes: int = 1,
    ) -> None:
        self._state = state.absolute()
        self._wanted = {"nats": nats, "postgres": postgres, "valkey": valkey}
        self._log_sync: LogSync = log_sync
        self._nats_nodes = nats_nodes
        self._identity = unprivileged()
        self._lock = StateLock(self._state)
        self._watchdog: Watchdog | None = None
        self._launcher: Launcher | None = None
        self._servers: dict[str, Server] = {}

    @property
    def nats(self) -> Server:
        """The nats-server."""
        return self._server("nats")

    @property
    def postgres(self) -> Server:
        """The Postgres server."""
        return self._server("postgres")

    @property
    def valkey(self) -> Server:
        """The valkey-server."""
        return self._server("valkey")

    @property
    def all(self) -> tuple[Server, ...]:
        """Those that were chosen."""
        return tuple(self._servers.values())

    @property
    def nats_url(self) -> str:
        """`nats://user:password@host:port` of the admin, one for each node with commas between."""
        return ",".join(server.url for server in self.all if server.name.startswith("nats"))

    @property
    def nats_secrets(self) -> NatsSecrets:
        """What the roles of ours and the gateway's callout need beside the address."""
        return NatsSecrets.kept(self._state / "secrets")

    @property
    def database_url(self) -> str:
        """`postgresql://user:password@host:port/database`."""
        return self.postgres.url

    @property
    def redis_url(self) -> str:
        """`redis://:password@host:port/0`."""
        return self.valkey.url

    @property
    def pids(self) -> dict[str, int | None]:
        """Process id by server name; None for one that does not run."""
        return {name: server.pid for name, server in self._servers.items()}

    @property
    def launcher(self) -> Launcher:
        """Starts further children, as ourselves, that end with us and hold the same lock."""
        if self._launcher is None:
            raise StackError("the servers have not been started")
        return replace(self._launcher, identity=None)

    async def claim(self) -> None:
        """Take the state folder for us, until `stop`; harmless when it is ours. Raises StateInUseError."""
        if self._lock.is_held:
            return
        self._state.mkdir(parents=True, exist_ok=True)
        self._state.chmod(0o711 if self._identity else 0o700)
        await self._lock.acquire()

    async def start(self, within: float = 30.0) -> None:
        """Start all of them in parallel; when one fails the others are stopped again."""
        await self.claim()
        try:
            self._watchdog = Watchdog()
            self._launcher = Launcher(self._watchdog, self._lock.descriptor, self._identity)
            self._servers = {
                recipe.name: Server(recipe, self._launcher)
                for recipe in self._recipes()
                if self._is_wanted(recipe.name)
            }
            async with asyncio.TaskGroup() as group:
                for server in self._servers.values():
                    group.create_task(server.start(within))
        except BaseExceptionGroup as failures:
            await self.stop()
            raise failures.exceptions[0] from None
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop all of them side by side, then let go of the state folder."""
        await asyncio.gather(*(server.stop() for server in self._servers.values()))
        if self._watchdog:
            self._watchdog.close()
        self._lock.release()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _server(self, name: str) -> Server:
        if name not in self._servers:
            raise StackError(f"{name} has not been started")
        return self._servers[name]

    def _is_wanted(self, name: str) -> bool:
        return self._wanted["nats" if name.startswith("nats") else name]

    def _recipes(self) -> tuple[Recipe, ...]:
        secrets, home = self._state / "secrets", data_home(self._state, self._identity)
        logs = self._state / "logs"
        logs.mkdir(mode=0o700, exist_ok=True)
        nodes = ["nats", *(f"nats-{node}" for node in range(2, self._nats_nodes + 1))]
        for name in {*self._wanted, *nodes}:
            folder = home / name
            folder.mkdir(mode=0o700, exist_ok=True)
            if self._identity:
                self._identity.own(folder)
        kept = NatsSecrets.kept(secrets)
        routes = [free_port() for _ in nodes] if len(nodes) > 1 else []
        return (
            *(
                NatsRecipe(home / name, logs / f"{name}.log", kept, self._log_sync, node=node, routes=routes)
                for node, name in enumerate(nodes)
            ),
            PostgresRecipe(home / "postgres", logs / "postgres.log", kept_password(secrets, "postgres")),
            ValkeyRecipe(home / "valkey", logs / "valkey.log", kept_password(secrets, "valkey")),
        )


def data_home(state: Path, identity: Identity | None) -> Path:
    """Where the servers' folders go: `state`, unless it lies below a folder that `identity` may not enter.

    Root's checkout in /root is such a case; the data then goes to /var/lib, where only root can write.
    """
    if identity is None or identity.can_enter(state):
        return state
    home = _ELSEWHERE / hashlib.sha256(str(state).encode()).hexdigest()[:16]
    home.mkdir(parents=True, exist_ok=True)
    for folder in (_ELSEWHERE.parent, _ELSEWHERE, home):
        folder.chmod(0o711)
    return home
