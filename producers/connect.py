"""The way to NATS: a connection that never gives up, and a process that ends if it is closed for good.

A closed nats-py connection leaves FastStream's pull loop spinning (stack.md B.7), so a process whose connection
closes unasked exits with code 70 and its supervisor starts it anew.
"""

import math
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal, TypedDict
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from events.tracebacks import text_of
from producers.client import BusClient
from producers.permissions import inbox_of
from producers.said import Said

EXIT_CONNECTION_CLOSED = 70
_RECONNECT_WAIT = 0.25
_PING_INTERVAL = 5
_AGAIN_AFTER = 60.0

log = structlog.get_logger()


class BusSettings(BaseSettings):
    """Where NATS is: `NATS_URL=nats://host:port` (several with commas between: a cluster), who we are there:
    `NATS_PASSWORDS={"reflex": "…"}` by user, and whether its log is fsynced with every write
    (`GANGLION_LOG_SYNC=always`) or every 100 ms.

    A user without a password is taken from the URL (`nats://user:password@host:port`): one for all, if so wished.
    """

    model_config = SettingsConfigDict(frozen=True, env_prefix="")

    nats_url: SecretStr
    nats_passwords: Mapping[str, SecretStr] = Field(default_factory=dict)
    ganglion_log_sync: Literal["100ms", "always"] = "100ms"

    @property
    def synced_always(self) -> bool:
        """Whether several events should share one fsync where they can."""
        return self.ganglion_log_sync == "always"

    def url_for(self, user: str) -> str:
        """The URL, or all of them with commas between, with a user's credentials."""
        return ",".join(self.servers_for(user))

    def servers_for(self, user: str) -> list[str]:
        """The URL of every node with a user's credentials, as nats-py takes them."""
        urls = self.nats_url.get_secret_value().split(",")
        password = self.nats_passwords.get(user)
        if password is None:
            return urls
        credentials = f"{user}:{quote(password.get_secret_value(), safe='')}"
        parts = [urlsplit(url) for url in urls]
        return [urlunsplit(p._replace(netloc=f"{credentials}@{p.netloc.rpartition('@')[2]}")) for p in parts]

    def way_for(self, user: str) -> tuple[list[str], tuple[str, str] | None]:
        """The nodes, and a name and password for any of them.

        Beside the URLs, because the addresses that a cluster tells its clients of come without any.
        """
        servers = self.servers_for(user)
        url = urlsplit(servers[0])
        if url.username is None or url.password is None:
            return servers, None
        bare = [urlunsplit(part._replace(netloc=part.netloc.rpartition("@")[2])) for part in map(urlsplit, servers)]
        return bare, (unquote(url.username), unquote(url.password))


class ClosedGuard:
    """What to do when a connection is closed for good: nothing if that was `expected`, else end the process."""

    def __init__(self) -> None:
        self.expected = False

    async def closed(self) -> None:
        """Called by nats-py; a process without its bus cannot do anything useful."""
        if not self.expected:
            log.error("nats_closed", exit_code=EXIT_CONNECTION_CLOSED)
            os._exit(EXIT_CONNECTION_CLOSED)


class _Course:
    """What the log says of one connection: that it is lost, that it is back, and each error once in between.

    nats-py tries again every quarter of a second, and each try that fails is an error.
    """

    def __init__(self, name: str, guard: ClosedGuard) -> None:
        self._name = name
        self._guard = guard
        self._lost_at: float | None = None
        self._said = Said()

    async def disconnected(self) -> None:
        """Called by nats-py at every cut; it reconnects by itself."""
        if not self._guard.expected and self._lost_at is None:
            self._lost_at = time.monotonic()
            log.warning("nats_disconnected", connection=self._name)

    async def reconnected(self) -> None:
        """Called by nats-py when it is over."""
        seconds = 0.0 if self._lost_at is None else time.monotonic() - self._lost_at
        self._lost_at = None
        self._said.clear()
        log.info("nats_reconnected", connection=self._name, seconds=round(seconds, 1))

    async def failed(self, error: Exception) -> None:
        """Called by nats-py with whatever goes wrong."""
        # The server's words name subjects; what else comes here was raised by one who read a message.
        detail = (str(error) if isinstance(error, NatsError) else text_of(error))[:200]
        # Lost: once until it is back; else, which is also before the first connection, once a minute.
        again_after = _AGAIN_AFTER if self._lost_at is None else math.inf
        if self._said.once((type(error), detail), again_after=again_after):
            log.warning("nats_error", connection=self._name, error=type(error).__name__, detail=detail or None)


class Connection:
    """Owns one nats-py client, connected as the user called `name`; `async with Connection(…) as client`."""

    def __init__(self, settings: BusSettings, name: str) -> None:
        self._settings = settings
        self._name = name
        self._guard = ClosedGuard()
        self.client = BusClient()

    async def __aenter__(self) -> Client:
        options = connect_options(self._name, self._guard)
        servers, credentials = self._settings.way_for(self._name)
        user, password = credentials or (None, None)
        await self.client.connect(servers, user=user, password=password, **options)  # type: ignore[arg-type]  # a wait below 1 s works
        return self.client

    async def __aexit__(self, *_: object) -> None:
        self._guard.expected = True
        await self.client.close()


class ConnectOptions(TypedDict):
    """What every connection of ours asks of nats-py."""

    name: str
    inbox_prefix: str
    max_reconnect_attempts: int
    reconnect_time_wait: float
    ping_interval: int
    connect_timeout: int
    error_cb: Callable[[Exception], Awaitable[None]]
    disconnected_cb: Callable[[], Awaitable[None]]
    reconnected_cb: Callable[[], Awaitable[None]]
    closed_cb: Callable[[], Awaitable[None]]


def connect_options(name: str, guard: ClosedGuard) -> ConnectOptions:
    """Endless quick reconnects, errors logged in one line, and the guard's word when it is over for good."""
    course = _Course(name, guard)
    return {
        "name": name,
        "inbox_prefix": inbox_of(name),
        "max_reconnect_attempts": -1,
        "reconnect_time_wait": _RECONNECT_WAIT,
        "ping_interval": _PING_INTERVAL,
        "connect_timeout": 2,
        "error_cb": course.failed,
        "disconnected_cb": course.disconnected,
        "reconnected_cb": course.reconnected,
        "closed_cb": guard.closed,
    }
