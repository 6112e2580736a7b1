"""Free TCP ports on the loopback interface."""

import random
import socket

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


def first_free_port(start: int, *, within: int = 100) -> int:
    """The lowest free loopback port from `start` on."""
    for port in range(start, start + within):
        if is_free(port):
            return port
    raise OSError(f"no free port between {start} and {start + within}")
