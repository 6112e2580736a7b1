"""The whole of Ganglion, as `make up` runs it, with what a test does to it from outside."""

import os
import signal
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager

import httpx

from deploy.local.runtime import Runtime
from deploy.local.tokens import DEVELOPER_SCOPES, mint
from tests.support.clusters import with_cluster
from tests.support.eventually import eventually
from tests.support.infrastructure import server_folder
from tests.support.plain import PLAIN
from tests.support.supervised import Supervised, supervised


class Stack:
    """Servers and roles under a supervisor. A role is `nats`, `postgres`, `valkey`, `gateway` or `consumers`."""

    def __init__(self, supervisor: Supervised) -> None:
        self.supervisor = supervisor

    @property
    def runtime(self) -> Runtime:
        """Where everything is at this moment."""
        return self.supervisor.runtime

    def token(self, owner: str = "dev", tenant: str = "dev", scopes: Sequence[str] = DEVELOPER_SCOPES) -> str:
        """A token that the gateway accepts."""
        secret = (self.supervisor.home / "secrets" / "jwt").read_text()
        return mint(secret, owner=owner, tenant=tenant, scopes=scopes)

    def client(
        self, owner: str = "dev", tenant: str = "dev", scopes: Sequence[str] = DEVELOPER_SCOPES
    ) -> httpx.AsyncClient:
        """An HTTP client of the gateway with a token of that owner; use it with `async with`."""
        return httpx.AsyncClient(
            base_url=self.runtime.gateway_url,
            headers={"Authorization": f"Bearer {self.token(owner, tenant, scopes)}"},
            timeout=35.0,
            trust_env=False,
            verify=PLAIN,
        )

    async def kill(self, role: str, *, back_within: float = 20.0) -> None:
        """SIGKILL, and wait until the supervisor has started it again (which says nothing of readiness)."""
        old = self._send(role, signal.SIGKILL)
        await eventually(lambda: self.runtime.pids[role] not in {old, None}, within=back_within)

    def pause(self, role: str) -> None:
        """SIGSTOP: it keeps its sockets and does nothing."""
        self._send(role, signal.SIGSTOP)

    def resume(self, role: str) -> None:
        """SIGCONT."""
        self._send(role, signal.SIGCONT)

    async def ready(self, within: float = 30.0) -> None:
        """Wait until `/readyz` answers 200."""

        async def answers() -> bool:
            try:
                answer = await client.get("/readyz")
            except httpx.HTTPError:
                return False
            return answer.status_code == httpx.codes.OK

        async with self.client() as client:
            await eventually(answers, within=within)

    def _send(self, role: str, number: signal.Signals) -> int:
        pid = self.runtime.pids[role]
        assert pid, f"{role} does not run"
        os.kill(pid, number)
        return pid


@asynccontextmanager
async def running_stack(env: Mapping[str, str] | None = None) -> AsyncGenerator[Stack]:
    """A stack of its own in a fresh folder, ready; nothing of it is left afterwards."""
    with server_folder() as folder:
        async with supervised(await with_cluster(folder), env=env) as supervisor:
            await supervisor.ready()
            yield Stack(supervisor)
