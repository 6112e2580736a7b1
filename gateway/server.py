"""uvicorn as the gateway runs it: drains subscribers before it stops, and drops sockets that never drain."""

import socket

import uvicorn

from gateway.app import Gateway, HttpSettings
from gateway.http.protocol import HttpWire
from gateway.live.protocol import Wire

MAX_FRAME = 64 * 1024
"""Bytes of a message from a client."""

_STOP_WITHIN = 10


class Server(uvicorn.Server):
    """Tells subscribers to come back before closing their sockets."""

    def __init__(self, config: uvicorn.Config, gateway: Gateway) -> None:
        super().__init__(config)
        self._gateway = gateway

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, then stop as uvicorn does."""
        for listener in self.servers:
            listener.close()
        await self._gateway.drain()
        await super().shutdown(sockets)


def server_for(gateway: Gateway, settings: HttpSettings) -> Server:
    """The server of one gateway: one process, uvloop, httptools, no access log, no compression of frames."""
    config = uvicorn.Config(
        gateway.app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=HttpWire,
        ws=Wire,
        ws_max_size=MAX_FRAME,
        ws_per_message_deflate=False,
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        backlog=4_096,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=_STOP_WITHIN,
    )
    return Server(config, gateway)
