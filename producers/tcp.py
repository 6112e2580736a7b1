"""A socket that was reset, told to nats-py in the one way it understands.

Writing to one is an OSError for nats-py, which connects anew then. uvloop, on which every role runs, raises a
RuntimeError of its own: that ended nats-py's reconnecting silently and for good, and the process stayed deaf.
"""

from collections.abc import Generator
from contextlib import contextmanager

from nats.aio import client
from nats.aio.transport import TcpTransport


class HonestTcp(TcpTransport):
    """nats-py's transport; raises ConnectionResetError when it is closed, whatever the event loop says."""

    def write(self, payload: bytes) -> None:
        """Hand it to the socket."""
        with _told_as_reset():
            super().write(payload)  # type: ignore[no-untyped-call]  # nats-py has not annotated it

    def writelines(self, payload: list[bytes]) -> None:
        """Hand them to the socket."""
        with _told_as_reset():
            super().writelines(payload)  # type: ignore[no-untyped-call]  # nats-py has not annotated it


@contextmanager
def _told_as_reset() -> Generator[None]:
    try:
        yield
    except RuntimeError as error:
        raise ConnectionResetError(str(error)) from error


client.TcpTransport = HonestTcp  # type: ignore[attr-defined]  # nats-py asks nobody which one it should take
