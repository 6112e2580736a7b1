"""Free TCP ports on the loopback interface."""

import random
import socket
import sys

LOOPBACK = "127.0.0.1"
_LOWEST, _HIGHEST = 15000, 32000
_TRIES = 200


def is_free(port: int) -> bool:
    """Say whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A loopback port nobody listens on.

    It lies below the kernel's range for outgoing connections: there, while a server is down, a client that
    retries can be given the very port it dials, connect to itself and keep the server from coming back.
    """
    for _ in range(_TRIES):
        port = random.randint(_LOWEST, _HIGHEST)
        if is_free(port):
            return port
    raise OSError(f"no free port between {_LOWEST} and {_HIGHEST}")


class ReservedPort:
    """A port that no other stack on this machine takes until we end, also while nobody listens on it.

    Between choosing a port and listening on it, and while a killed gateway is being restarted, the port is free;
    a second stack would take it, and answer our clients. On Linux an abstract socket marks it: those are as wide
    as the network, and vanish with their owner. Elsewhere there is no mark.
    """

    def __init__(self, number: int, mark: socket.socket | None) -> None:
        self.number = number
        self._mark = mark

    def release(self) -> None:
        """Let others have it; harmless when repeated."""
        if self._mark is not None:
            self._mark.close()


def reserve(port: int) -> ReservedPort | None:
    """Reserve one port, or None when it is taken or reserved."""
    if not is_free(port):
        return None
    if sys.platform != "linux":
        return ReservedPort(port, None)
    mark = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        mark.bind(f"\0ganglion.port.{port}")
    except OSError:
        mark.close()
        return None
    return ReservedPort(port, mark)


def reserve_first(start: int, *, within: int = 100) -> ReservedPort:
    """Reserve the lowest port from `start` on that is neither taken nor reserved."""
    for port in range(start, start + within):
        if reserved := reserve(port):
            return reserved
    raise OSError(f"no free port between {start} and {start + within}")
