"""The way to NATS: a connection that never gives up, and a process that ends if it is closed for good.

A closed nats-py connection leaves FastStream's pull loop spinning (stack.md B.7), so a process whose connection
closes unasked exits with code 70 and its supervisor starts it anew.
"""

import os
from collections.abc import Awaitable, Callable
from typing import TypedDict

import structlog
from nats.aio.client import Client
from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

EXIT_CONNECTION_CLOSED = 70
_RECONNECT_WAIT = 0.25
_PING_INTERVAL = 5

log = structlog.get_logger()


class BusSettings(BaseSettings):
    """Where NATS is: `NATS_URL=nats://user:password@host:port`."""

    model_config = SettingsConfigDict(frozen=True, env_prefix="")

    nats_url: SecretStr

    @property
    def url(self) -> str:
        """The URL with its credentials."""
        return self.nats_url.get_secret_value()


async def _log_error(error: Exception) -> None:
    log.warning("nats_error", error=type(error).__name__, detail=str(error)[:200])


async def _log_disconnected() -> None:
    log.warning("nats_disconnected")


async def _log_reconnected() -> None:
    log.info("nats_reconnected")


class Connection:
    """Owns one nats-py client; `async with Connection(settings, name) as client`."""

    def __init__(self, settings: BusSettings, name: str) -> None:
        self._settings = settings
        self._name = name
        self._closing = False
        self.client = Client()

    async def __aenter__(self) -> Client:
        options = connect_options(self._name, self.end_process)
        await self.client.connect(self._settings.url, **options)  # type: ignore[arg-type]  # a wait below 1 s works
        return self.client

    async def __aexit__(self, *_: object) -> None:
        self._closing = True
        await self.client.close()

    async def end_process(self) -> None:
        """End this process unless the connection is being closed on purpose."""
        if not self._closing:
            log.error("nats_closed", exit_code=EXIT_CONNECTION_CLOSED)
            os._exit(EXIT_CONNECTION_CLOSED)


class ConnectOptions(TypedDict):
    """What every connection of ours asks of nats-py."""

    name: str
    max_reconnect_attempts: int
    reconnect_time_wait: float
    ping_interval: int
    connect_timeout: int
    error_cb: Callable[[Exception], Awaitable[None]]
    disconnected_cb: Callable[[], Awaitable[None]]
    reconnected_cb: Callable[[], Awaitable[None]]
    closed_cb: Callable[[], Awaitable[None]]


def connect_options(name: str, closed_cb: Callable[[], Awaitable[None]]) -> ConnectOptions:
    """Endless quick reconnects, errors logged in one line, and `closed_cb` when it is over for good."""
    return {
        "name": name,
        "max_reconnect_attempts": -1,
        "reconnect_time_wait": _RECONNECT_WAIT,
        "ping_interval": _PING_INTERVAL,
        "connect_timeout": 2,
        "error_cb": _log_error,
        "disconnected_cb": _log_disconnected,
        "reconnected_cb": _log_reconnected,
        "closed_cb": closed_cb,
    }
