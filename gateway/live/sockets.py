"""All open WebSockets of the process: let in, kept alive, sent away when they read nothing, drained at the end."""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from gateway.auth.bearer import Principal
from gateway.errors import UnauthorizedError
from gateway.live.outlet import STALLED_AFTER
from gateway.live.places import Places
from gateway.live.protocol import WireOutlet
from gateway.metrics import Metrics

_SWEEP = 2.0
_AT_ONCE = 200


class Connection(ABC):
    """One open WebSocket: its way out, and its caller for as long as the token is good."""

    beats_every = 20.0
    expired = (4401, "token_expired")

    def __init__(self, outlet: WireOutlet) -> None:
        self.outlet = outlet
        self.beaten_at = asyncio.get_running_loop().time()
        self.principal: Principal | None = None
        self.places: Places | None = None
        self._expiry: asyncio.TimerHandle | None = None

    @property
    def caller(self) -> Principal:
        """Who was admitted. Raises UnauthorizedError."""
        if self.principal is None:
            raise UnauthorizedError
        return self.principal

    def admit(self, principal: Principal) -> None:
        """Serve this caller until its token expires. Raises TooManyOpenError."""
        if self.principal is None and self.places is not None:
            self.places.take(principal)
        self.principal = principal
        self.forget()
        loop = asyncio.get_running_loop()
        self._expiry = loop.call_later(principal.seconds_left(), self.outlet.close, *self.expired)

    def forget(self) -> None:
        """The connection ends, or its token was replaced."""
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None

    @abstractmethod
    def beat(self) -> bytes:
        """What is sent now and then to show that the connection lives."""

    @abstractmethod
    def farewell(self) -> bytes:
        """What is sent before a restart."""


class Sockets:
    """Every open connection."""

    def __init__(self, metrics: Metrics, allowed_origins: tuple[str, ...], places: Places | None = None) -> None:
        self._metrics = metrics
        self._places = places or Places()
        self._allowed_origins = frozenset(allowed_origins)
        self._open: set[Connection] = set()
        self._draining = False

    @property
    def count(self) -> int:
        """How many are open."""
        return len(self._open)

    def refusal(self, connection: HTTPConnection) -> int | None:
        """The close code for who may not even come in: a foreign page, or anyone while the process stops."""
        if self._draining:
            return 1012
        return None if self._origin_is_allowed(connection) else 4403

    @contextmanager
    def open(self, connection: Connection) -> Iterator[None]:
        """Count the connection, keep it alive and drain it while the block runs."""
        connection.places = self._places
        self._open.add(connection)
        self._metrics.sockets.inc()
        try:
            yield
        finally:
            self._open.discard(connection)
            if connection.principal is not None:
                self._places.give_back(connection.principal)
            self._metrics.sockets.dec()
            closing = connection.outlet.closing
            if closing is not None and closing.code == 4408:
                self._metrics.slow_readers.inc()

    async def keep_alive(self) -> None:
        """Until cancelled: beat for those that read, and send away those that read nothing."""
        while True:
            await asyncio.sleep(_SWEEP)
            await self._look_at(tuple(self._open), asyncio.get_running_loop().time())

    async def drain(self, within: float = 5.0) -> None:
        """Tell all sockets to come back elsewhere, close them 1012 and wait for that."""
        self._draining = True
        for number, connection in enumerate(tuple(self._open)):
            connection.outlet.put(connection.farewell())
            connection.outlet.close(1012, "restart")
            if number % _AT_ONCE == _AT_ONCE - 1:
                await asyncio.sleep(0)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while self._open:  # noqa: ASYNC110 - once a process, at its end
                    await asyncio.sleep(0.02)

    async def _look_at(self, connections: tuple[Connection, ...], now: float) -> None:
        for number, connection in enumerate(connections):
            outlet = connection.outlet
            if outlet.blocked:
                if outlet.stalled_for(now) > STALLED_AFTER:
                    outlet.close(4408, "")
            elif now - connection.beaten_at >= connection.beats_every:
                connection.beaten_at = now
                outlet.put(connection.beat())
            if number % _AT_ONCE == _AT_ONCE - 1:
                await asyncio.sleep(0)

    def _origin_is_allowed(self, connection: HTTPConnection) -> bool:
        """Browsers send Origin: it must be ours or on the list (cross-site WebSocket hijacking)."""
        origin = connection.headers.get("origin")
        if origin is None:
            return True
        return origin in self._allowed_origins or _host_of(origin) == connection.headers.get("host", "")


def _host_of(origin: str) -> str | None:
    """The host and port that an Origin names; None for what names none."""
    try:
        return urlsplit(origin).netloc or None
    except ValueError:
        return None
