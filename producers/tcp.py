"""A socket that was reset, told to nats-py in the one way it understands.

Writing to one is an OSError for nats-py, which connects anew then. uvloop, on which every role runs, raises a
RuntimeError of its own: that ended nats-py's reconnecting silently and for good, and the process stayed deaf.
"""

import asyncio

from nats.aio import client
from nats.aio.transport import TcpTransport

_CLOSED_WITHIN = 0.5


class HonestTcp(TcpTransport):
    """nats-py's transport; raises ConnectionResetError when it is closed, whatever the event loop says.

    What was sent to a server that reads no more is let go of: nats-py would wait, and connect to nobody, for as long as
    the kernel tries to deliver it to a host that is gone, which is a quarter of an hour.
    """

    def write(self, payload: bytes) -> None:
        """Hand it to the socket."""
        try:
            super().write(payload)  # type: ignore[no-untyped-call]  # nats-py has not annotated it
        except RuntimeError as error:
            raise ConnectionResetError(str(error)) from error

    def writelines(self, payload: list[bytes]) -> None:
        """Hand them to the socket."""
        try:
            super().writelines(payload)  # type: ignore[no-untyped-call]  # nats-py has not annotated it
        except RuntimeError as error:
            raise ConnectionResetError(str(error)) from error

    async def wait_closed(self) -> None:
        """Wait until the socket is closed, which it is at the end."""
        try:
            async with asyncio.timeout(_CLOSED_WITHIN):
                await super().wait_closed()  # type: ignore[no-untyped-call]  # nats-py has not annotated it
        except TimeoutError:
            if self._io_writer is not None:
                self._io_writer.transport.abort()


client.TcpTransport = HonestTcp  # type: ignore[attr-defined]  # nats-py asks nobody which one it should take
