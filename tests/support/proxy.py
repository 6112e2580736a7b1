"""A TCP proxy in front of a server, whose connections a test can cut, hold up and slow down."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit


class Proxy:
    """Passes bytes on both ways; `url` is the server's own with the proxy's port."""

    def __init__(self, target: str) -> None:
        self._target = urlsplit(target)
        self._writers: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.port = 0
        self.cuts = 0
        self.refuses = False
        """Whether new connections are ended at once."""
        self.delay = 0.0
        """Seconds that every piece waits before it is passed on."""

    @property
    def url(self) -> str:
        user, _, _ = self._target.netloc.rpartition("@")
        return urlunsplit(self._target._replace(netloc=f"{user}@127.0.0.1:{self.port}"))

    @property
    def connections(self) -> int:
        """How many are open, counted from both sides."""
        return len(self._writers)

    def cut(self) -> None:
        """Reset every connection, with whatever is under way on it."""
        self.cuts += 1
        for writer in list(self._writers):
            writer.transport.abort()

    def stall(self) -> None:
        """Keep every connection open and pass nothing on, until `flow`."""
        self._flowing.clear()

    def flow(self) -> None:
        """Pass on what was held up."""
        self._flowing.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Connect one client to the server."""
        if self.refuses:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(self._target.hostname, self._target.port)
        except OSError:
            writer.transport.abort()
            return
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            self._writers.add(sink)
            pump = asyncio.create_task(self._pump(source, sink))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65_536):
                await self._flowing.wait()
                if self.delay:
                    await asyncio.sleep(self.delay)
                sink.write(data)
                await sink.drain()
        self._writers.discard(sink)
        sink.transport.abort()


@asynccontextmanager
async def proxied(target: str) -> AsyncGenerator[Proxy]:
    """A proxy in front of `target` (a URL with a port)."""
    proxy = Proxy(target)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.flow()
        proxy.cut()
        await asyncio.gather(*proxy._pumps, return_exceptions=True)
