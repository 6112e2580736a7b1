"""The local stack as one process: servers, then schema and streams, then the roles, until told to stop."""

import asyncio
import errno
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pydantic import SecretStr

from deploy.local.addresses import Addresses, EnginePlace
from deploy.local.banner import banner
from deploy.local.errors import StackError
from deploy.local.full_disk import FullDisk
from deploy.local.guard import Child, Guard, Say
from deploy.local.passwords import kept_password
from deploy.local.ports import LOOPBACK, ReservedPort, reserve, reserve_first
from deploy.local.process import rotate
from deploy.local.readiness import wait_ready
from deploy.local.report import Report
from deploy.local.role_process import RoleProcess
from deploy.local.roles import ENGINE, PROVISION, ROLES, Role
from deploy.local.runtime import remove_runtime
from deploy.local.servers import Servers
from deploy.local.settings import StackSettings
from events.errors import GanglionError

DEFAULT_PORT = 8080
_ENGINE_PORT = 8085
_METRICS_PORT = 9464
_READY_WITHIN = 60.0  # seconds
_HOUSEKEEPING_EVERY = 10.0
_SLOW_AFTER = 5.0


def _print(text: str) -> None:
    """Say it on stdout; on a full disk it comes with what is said later."""
    try:
        print(text, flush=True)
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise


class Supervisor:
    """Runs the whole stack below `settings.home`; raises GanglionError when it cannot start.

    Servers whose URL is set in the settings are used and left alone. `roles` and `provision` are parameters so
    that tests can run the same code around stubs.
    """

    def __init__(
        self,
        settings: StackSettings,
        *,
        roles: Sequence[Role] = ROLES,
        provision: Role = PROVISION,
        say: Say = _print,
    ) -> None:
        self._settings = settings
        self._home = settings.home.absolute()
        self._roles = tuple(role for role in roles if role is not ENGINE or settings.spec_engine_url is None)
        self._provision = provision
        self._say = say
        self._servers = Servers(
            self._home,
            nats=settings.nats_url is None,
            postgres=settings.database_url is None,
            valkey=settings.redis_url is None,
            log_sync=settings.log_sync,
            nats_nodes=settings.nats_nodes,
        )
        self._processes: list[RoleProcess] = []
        self._port: ReservedPort | None = None
        self._engine_port: ReservedPort | None = None
        self._metrics_port: ReservedPort | None = None
        self._undone: dict[str, str] = {}

    async def run(self) -> None:
        """Start, wait for SIGINT, SIGTERM or SIGHUP, then stop in order: the roles, then the servers."""
        told_to_stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, told_to_stop.set)
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup asks us to outlive the terminal
            loop.add_signal_handler(signal.SIGHUP, told_to_stop.set)
        work = asyncio.create_task(self._work())
        waiting = asyncio.create_task(told_to_stop.wait())
        await asyncio.wait({work, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():  # what ends by itself says why, and may have started nothing
            self._say("stopping")
        work.cancel()
        waiting.cancel()
        outcome, _ = await asyncio.gather(work, waiting, return_exceptions=True)
        await self._stop()
        if isinstance(outcome, Exception):
            raise outcome

    async def _work(self) -> None:
        self._say(f"starting below {self._home}")
        await self._servers.claim()  # before the ports: who starts the same stack twice is to hear of that
        self._port = _reserved(self._settings.port, "GANGLION_PORT", DEFAULT_PORT)
        self._metrics_port = _reserved(self._settings.metrics_port, "GANGLION_METRICS_PORT", _METRICS_PORT)
        if ENGINE in self._roles:
            self._engine_port = reserve_first(_ENGINE_PORT)
        await self._servers.start()
        # From here on the state folder is ours: what a killed predecessor left behind no longer holds.
        remove_runtime(self._home)
        addresses = self._addresses(self._port.number)
        await self._provided(addresses)
        self._processes = [self._process(role, addresses) for role in self._roles]
        for process in self._processes:
            await process.start()
        await self._keep(addresses)

    async def _provided(self, addresses: Addresses) -> None:
        """Make schema and streams. A server of somebody else's that is away is waited for, and that is said."""
        process = self._process(self._provision, addresses)

        async def grumble() -> None:
            while True:
                await asyncio.sleep(_SLOW_AFTER)
                self._say(f"{process.name} still waits or works: {process.last_line}")

        grumbling = asyncio.create_task(grumble())
        try:
            await process.finish()
        finally:
            grumbling.cancel()

    async def _keep(self, addresses: Addresses) -> None:
        """Restart what ends and keep runtime.json true, until cancelled."""
        report = Report(self._home, addresses)
        children: tuple[Child, ...] = (*self._servers.all, *self._processes)

        def renew() -> None:
            with self._can_wait("runtime.json"):
                report.publish()

        report.guards = tuple(Guard(child, say=self._say, changed=renew) for child in children)
        keeping = [asyncio.create_task(guard.keep()) for guard in report.guards]
        try:
            report.publish()
            ready = report.current()
            await wait_ready(addresses.gateway_url, within=_READY_WITHIN, token=ready.token)
            self._say(banner(ready, self._home))
            await asyncio.gather(self._keep_house(report), *keeping)
        finally:
            for task in keeping:
                task.cancel()
            await asyncio.gather(*keeping, return_exceptions=True)
            report.remove()

    async def _keep_house(self, report: Report) -> None:
        """Bound the logs, look after the watchdog and full disks, renew the token in runtime.json in good time."""
        logs = self._home / "logs"
        disk = FullDisk(self._servers.all, logs, self._say)
        while True:
            await asyncio.sleep(_HOUSEKEEPING_EVERY)
            with self._can_wait("the log of NATS"):
                await disk.look()
            with self._can_wait("the watchdog"):
                self._servers.launcher.watchdog.revive()
            for log in logs.glob("*.log"):
                with self._can_wait(log.name):
                    await asyncio.to_thread(rotate, log)
            with self._can_wait("runtime.json"):
                report.publish()

    @contextmanager
    def _can_wait(self, chore: str) -> Iterator[None]:
        """What fails here, as on a full disk, ends nothing that runs: it is said once, and done at a later look."""
        try:
            yield
        except OSError as error:
            if self._undone.get(chore) != str(error):
                self._say(f"{chore} cannot be kept up ({error}); that is tried again every {_HOUSEKEEPING_EVERY:g} s")
            self._undone[chore] = str(error)
        else:
            self._undone.pop(chore, None)

    async def _stop(self) -> None:
        for process in self._processes:
            await process.stop()
        await self._servers.stop()
        for port in (self._port, self._metrics_port, self._engine_port):
            if port:
                port.release()

    def _addresses(self, gateway_port: int) -> Addresses:
        settings = self._settings
        secret = settings.jwt_secret
        return Addresses(
            gateway_port=gateway_port,
            nats_url=_given(settings.nats_url) or self._servers.nats_url,
            database_url=_given(settings.database_url) or self._servers.database_url,
            redis_url=_given(settings.redis_url) or self._servers.redis_url,
            jwt_secret=_given(secret) or kept_password(self._home / "secrets", "jwt"),
            seal_keys=_given(settings.seal_keys) or kept_password(self._home / "secrets", "seal"),
            nats_secrets=None if settings.nats_url else self._servers.nats_secrets,
            engine=self._engine(),
            metrics_port=self._metrics_port.number if self._metrics_port else None,
            host=settings.host,
        )

    def _engine(self) -> EnginePlace | None:
        """The engine that was given, else ours with a token of its own."""
        settings, prefix = self._settings, self._settings.spec_engine_prefix
        if settings.spec_engine_url is not None:
            return EnginePlace(settings.spec_engine_url, prefix, _given(settings.spec_engine_token) or "")
        if self._engine_port is None:
            return None
        token = _given(settings.spec_engine_token) or kept_password(self._home / "secrets", "spec-engine")
        return EnginePlace(f"http://{LOOPBACK}:{self._engine_port.number}", prefix, token)

    def _process(self, role: Role, addresses: Addresses) -> RoleProcess:
        log = self._home / "logs" / f"{role.name}.log"
        if role is ENGINE:
            environment = addresses.engine_environment(os.environ)
        else:
            environment = addresses.environment(os.environ, role.nats_users)
        return RoleProcess(role, self._servers.launcher, environment, log)


def _reserved(wanted: int | None, variable: str, first: int) -> ReservedPort:
    """The port that is wanted, else the first free one. Raises StackError when it is taken."""
    reserved = reserve(wanted) if wanted else reserve_first(first)
    if reserved is None:
        raise StackError(f"port {wanted} ({variable}) is taken")
    return reserved


def up(settings: StackSettings, *, roles: Sequence[Role] = ROLES, provision: Role = PROVISION) -> int:
    """Run the stack in this process until it is told to stop; returns the exit code."""
    try:
        asyncio.run(Supervisor(settings, roles=roles, provision=provision).run())
    except (GanglionError, OSError) as error:
        print(str(error) or repr(error), file=sys.stderr)
        return 1
    return 0


def _given(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None
