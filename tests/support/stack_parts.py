"""Ganglion in parts: real servers, each role a process of its own, and nobody but the test restarts what ends."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx

from consumers.app import CONSUMERS
from deploy.local.addresses import Addresses
from deploy.local.errors import StackError
from deploy.local.passwords import kept_password
from deploy.local.ports import free_port
from deploy.local.role_process import RoleProcess
from deploy.local.roles import Role
from deploy.local.server import Server
from deploy.local.servers import Servers
from deploy.local.tokens import mint
from tests.support.clusters import with_cluster
from tests.support.eventually import PATIENCE, eventually
from tests.support.forked_roles import ForkingLauncher
from tests.support.infrastructure import server_folder
from tests.support.kill_points import FOLDER, Points
from tests.support.plain import PLAIN
from tests.support.processes import family, freeze
from tests.support.stack_follower import Follower

_PROVISION = Role("provision", ("-m", "tests.support.kill_provision"))
_ROLES = (
    Role("gateway", ("-m", "tests.support.kill_gateway")),
    Role("keeper", ("-m", "tests.support.kill_consumers", "keeper")),
    Role("reactors", ("-m", "tests.support.kill_consumers", *(n for n in CONSUMERS if n not in ("keeper", "runner")))),
    Role("runner", ("-m", "tests.support.kill_consumers", "runner")),
)
_LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20)
USER = ("tasks:read", "tasks:write")


class Parts:
    """Roles `gateway`, `keeper`, `runner` and `reactors` (all other consumers), or those given; servers in `servers`.

    A role with users of NATS of its own has their rights and secrets only, as in the product; others are the admin.
    `urls` names servers that the roles reach elsewhere (through a proxy), `env` is added to their environment, and
    `env_of` to that of one role.
    """

    def __init__(
        self,
        servers: Servers,
        home: Path,
        *,
        urls: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
        env_of: Mapping[str, Mapping[str, str]] | None = None,
        roles: Sequence[Role] = _ROLES,
    ) -> None:
        armed = home / "armed"
        armed.mkdir()
        self.servers = servers
        self.points = Points(armed)
        self.home = home
        self.launcher = ForkingLauncher(**vars(servers.launcher))
        self._addresses = Addresses(
            gateway_port=free_port(),
            nats_url=(urls or {}).get("nats", servers.nats_url),
            database_url=(urls or {}).get("postgres", servers.database_url),
            redis_url=(urls or {}).get("valkey", servers.redis_url),
            jwt_secret=kept_password(home / "secrets", "jwt"),
            seal_keys=kept_password(home / "secrets", "seal"),
        )
        called = {"GANGLION_PUSH_ALLOW": '["127.0.0.0/8"]'}
        self._inherited = {**os.environ, **called, **(env or {}), FOLDER: str(armed)}
        self._env_of = dict(env_of or {})
        self._roles = {role.name: self._process(role) for role in roles}

    @property
    def url(self) -> str:
        """The gateway's."""
        return self._addresses.gateway_url

    @property
    def database_url(self) -> str:
        return self.servers.database_url

    def client(self, owner: str, limits: httpx.Limits = _LIMITS, *, scopes: Sequence[str] = USER) -> httpx.AsyncClient:
        """An HTTP client with a token of that owner, scopes of a user."""
        headers = {"Authorization": f"Bearer {self.token(owner, scopes)}"}
        return httpx.AsyncClient(
            base_url=self.url, headers=headers, timeout=20, trust_env=False, verify=PLAIN, limits=limits
        )

    def follower(self, owner: str, room: str = "tasks", after: str | None = "0") -> Follower:
        """A subscriber who resumes by itself."""
        return Follower(self.url, self.token(owner), room, after)

    def token(self, owner: str, scopes: Sequence[str] = USER) -> str:
        return mint(self._addresses.jwt_secret, owner=owner, tenant="acme", scopes=scopes)

    def environment(self, role: Role) -> dict[str, str]:
        """What a role finds in its environment."""
        places = replace(self._addresses, nats_secrets=self.servers.nats_secrets if role.nats_users else None)
        return {**places.environment(self._inherited, role.nats_users), **self._env_of.get(role.name, {})}

    def log(self, name: str) -> str:
        """All that a role has written."""
        return (self.home / "logs" / f"{name}.log").read_text(errors="replace")

    def _process(self, role: Role) -> RoleProcess:
        return RoleProcess(role, self.launcher, self.environment(role), self.home / "logs" / f"{role.name}.log")

    def _server(self, name: str) -> Server | None:
        return next((server for server in self.servers.all if server.name == name), None)

    async def kill(self, name: str) -> None:
        """SIGKILL one role or server, as a crash would."""
        server = self._server(name)
        if server is not None:
            await server.kill()
            return
        pid = self._roles[name].pid
        assert pid is not None, f"{name} does not run"
        os.kill(pid, signal.SIGKILL)
        await self._roles[name].ended()

    @property
    def names(self) -> tuple[str, ...]:
        """Of all roles."""
        return tuple(self._roles)

    def pid(self, name: str) -> int | None:
        """Of a role or a server."""
        server = self._server(name)
        return server.pid if server is not None else self._roles[name].pid

    def pause(self, server: Server) -> None:
        """Freeze a server with all its children: connections stay open and nothing answers."""
        freeze(family(server.pid))

    def resume(self, server: Server) -> None:
        """Let a frozen server go on."""
        for pid in family(server.pid):
            with contextlib.suppress(ProcessLookupError):  # a backend of Postgres may end meanwhile
                os.kill(pid, signal.SIGCONT)

    async def join(self, role: Role, env: Mapping[str, str]) -> None:
        """Start one more role, with this added to its environment."""
        self._env_of[role.name] = env
        self._roles[role.name] = self._process(role)
        await self.start(role.name)

    async def start(self, name: str) -> None:
        """Start one role or server that has ended."""
        server = self._server(name)
        await (server.start() if server is not None else self._roles[name].start())

    async def died(self, name: str, within: float = 20.0) -> None:
        """Wait until a role was killed at its armed point."""
        async with asyncio.timeout(PATIENCE * within):
            assert (await self._roles[name].ended()).startswith("SIGKILL"), self.log(name)[-2_000:]

    async def heal(self) -> None:
        """Everything runs and answers, whatever an earlier test left behind."""
        for server in self.servers.all:
            self.resume(server)
            await server.start()
        for role in self._roles.values():
            if role.pid is None:
                await role.start()
        await self.ready()

    async def ready(self, within: float = 40.0) -> None:
        """A task goes the whole way."""
        async with self.client("nobody") as client:
            await eventually(lambda: self._works(client), within=within, every=0.05)

    async def _works(self, client: httpx.AsyncClient) -> bool:
        for name, role in self._roles.items():
            if role.pid is None:
                raise RuntimeError(f"{name} ended:\n{self.log(name)[-2_000:]}")
        try:
            body, wait = {"prompt": "Say something."}, {"Prefer": "wait=5"}
            answer = await client.post("/api/v1/tasks", json=body, headers=wait)
        except httpx.TransportError:
            return False
        return answer.status_code == httpx.codes.OK and answer.json()["status"] == "succeeded"

    async def provision(self) -> None:
        """Schema and streams."""
        await self._process(_PROVISION).finish()

    async def run(self, module: str, *arguments: str) -> bool:
        """Run one of our programs to its end among the roles; whether it ended well."""
        try:
            await self._process(Role("once", ("-m", module, *arguments))).finish()
        except StackError:
            return False
        return True

    async def stop(self) -> None:
        """End all roles."""
        await asyncio.gather(*(role.stop() for role in self._roles.values()))


@asynccontextmanager
async def running_parts(env: Mapping[str, str] | None = None) -> AsyncGenerator[Parts]:
    """All of it in a fresh folder, ready; nothing is left afterwards. `env` is added to what the roles see."""
    with server_folder() as folder:
        async with Servers(await with_cluster(folder)) as servers:
            parts = Parts(servers, folder, env=env)
            await parts.provision()
            try:
                await parts.heal()
                yield parts
            finally:
                await parts.stop()
