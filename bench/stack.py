"""The stack under measurement: everything of ours, embedded, in a state folder of its own."""

from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from cli.embedded import EmbeddedStack
from deploy.local.runtime import Runtime
from deploy.local.tokens import mint


class Stack:
    """A running stack and where it answers; `async with Stack() as stack`."""

    def __init__(self) -> None:
        self._embedded = EmbeddedStack()

    async def __aenter__(self) -> Self:
        await self._embedded.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._embedded.__aexit__(kind, error, trace)

    @property
    def host(self) -> str:
        """The gateway's address."""
        return urlsplit(self._runtime.gateway_url).hostname or "127.0.0.1"

    @property
    def port(self) -> int:
        """The gateway's port."""
        return urlsplit(self._runtime.gateway_url).port or 80

    @property
    def token(self) -> str:
        """The development token."""
        return self._runtime.token

    def token_of(self, owner: str) -> str:
        """A user's token, without the scope admin."""
        secret = (self._embedded.home / "secrets" / "jwt").read_text()
        return mint(secret, owner=owner, tenant="dev", scopes=("tasks:read", "tasks:write"))

    @property
    def nats_url(self) -> str:
        """Where events are published, with the right to publish any."""
        return self._runtime.nats_url

    @property
    def database_url(self) -> str:
        """Where the results are, for the check afterwards."""
        return self._runtime.database_url

    def pids(self) -> dict[str, int]:
        """Process id by role, servers included."""
        return {name: pid for name, pid in self._runtime.pids.items() if pid is not None}

    @property
    def _runtime(self) -> Runtime:
        return self._embedded.runtime()
