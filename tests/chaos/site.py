"""What a campaign attacks: every role a process of its own, every server behind a link that can be cut."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from consumers.app import CONSUMERS
from deploy.local.identity import unprivileged
from deploy.local.nats import LogSync
from deploy.local.roles import Role
from deploy.local.servers import Servers, data_home
from events.streams import RUNNER
from producers.permissions import CALLOUT, GATEWAY, KEEPER
from tests.chaos.clocks import Clocks
from tests.chaos.consumers import CALLS
from tests.support.clusters import with_cluster
from tests.support.infrastructure import server_folder
from tests.support.processes import family
from tests.support.proxy import Proxy, proxied
from tests.support.stack_parts import Parts

SERVERS = ("nats", "postgres", "valkey")
_CONSUMERS = ("-m", "tests.chaos.consumers")
_REACTORS = tuple(sorted(set(CONSUMERS) - {KEEPER, RUNNER.name}))
ROLES = (
    Role("gateway", ("-m", "tests.support.kill_gateway"), nats_users=(GATEWAY, CALLOUT)),
    Role("keeper", (*_CONSUMERS, KEEPER), nats_users=(KEEPER,)),
    Role("standby", (*_CONSUMERS, KEEPER), nats_users=(KEEPER,)),
    Role("reactors", (*_CONSUMERS, *_REACTORS), nats_users=_REACTORS),
    Role("runner", (*_CONSUMERS, RUNNER.name), nats_users=(RUNNER.name,)),
    Role("reserve", (*_CONSUMERS, RUNNER.name), nats_users=(RUNNER.name,)),
)
"""Two keepers and two runners: whoever is frozen finds another at its work when it wakes up."""
OUTSIDER = Role("outsider", ("-m", "tests.chaos.outsider"))
"""In campaigns at full length: an agent of somebody else's, who works for the tenant of all clients."""
_SILENT_AFTER = 20.0
"""Seconds: what a killed agent had in hand is given to another attempt well before the campaign's patience ends."""


@dataclass(slots=True)
class Site:
    """The parts, the links between roles and servers, and the folder with the stream's files."""

    parts: Parts
    links: Mapping[str, Proxy]
    home: Path
    clocks: Clocks

    @property
    def calls(self) -> Path:
        """The agent's own log: a line for each call it got."""
        return self.home / "agent-calls.log"

    @property
    def blocks(self) -> list[Path]:
        """The files in which JetStream keeps BUS, oldest first."""
        data = data_home(self.home, unprivileged()) / "nats"
        return sorted(data.glob("**/streams/BUS/msgs/*.blk"), key=lambda path: int(path.stem))

    def freeze(self, name: str) -> None:
        """SIGSTOP a role or server with all its children."""
        send(family(self.parts.pid(name)), signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """SIGCONT them."""
        send(family(self.parts.pid(name)), signal.SIGCONT)

    async def restart(self, name: str, *, after: float = 0.0) -> None:
        """Kill -9 a role or server, and start it again some seconds later."""
        await self.parts.kill(name)
        await asyncio.sleep(after)
        await self.parts.start(name)


def send(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to those that are still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # a backend of Postgres may end between listing and signal
            os.kill(pid, number)


@asynccontextmanager
async def running_site(
    *, sweep: bool = True, clocks: bool = False, outsider: bool = False, log_sync: LogSync = "100ms"
) -> AsyncGenerator[Site]:
    """All of it in a fresh folder, ready; nothing is left afterwards."""
    with server_folder() as folder:
        async with AsyncExitStack() as stack:
            servers = await stack.enter_async_context(Servers(await with_cluster(folder), log_sync=log_sync))
            urls = {"nats": servers.nats_url, "postgres": servers.database_url, "valkey": servers.redis_url}
            links = {name: await stack.enter_async_context(proxied(url)) for name, url in urls.items()}
            site_env = {
                "GANGLION_SWEEP": "on" if sweep else "off",
                CALLS: str(folder / "agent-calls.log"),
                **({"GANGLION_SILENT_AFTER": str(_SILENT_AFTER)} if outsider else {}),
            }
            reached = {name: link.url for name, link in links.items()}
            wrong = Clocks(folder / "clocks", [role.name for role in ROLES] if clocks else [])
            parts = Parts(servers, folder, urls=reached, env=site_env, env_of=wrong.env_of(), roles=ROLES)
            await parts.provision()
            try:
                await parts.heal()
                if outsider:
                    token = parts.token("registrar", ("agents:write",))
                    await parts.join(OUTSIDER, {"GANGLION_URL": parts.url, "GANGLION_TOKEN": token})
                yield Site(parts, links, folder, wrong)
            finally:
                for link in links.values():
                    link.flow()
                await parts.stop()
