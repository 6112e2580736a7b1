"""Ports that a server keeps over a restart while its clients dial it."""

import socket
from pathlib import Path

import pytest

from deploy.local.ports import LOOPBACK, free_port, is_free, reserve, reserve_first


def test_a_port_somebody_listens_on_is_not_free() -> None:
    with socket.create_server((LOOPBACK, 0)) as listener:
        port = listener.getsockname()[1]
        assert not is_free(port)
    assert is_free(port)


def test_the_first_free_port_skips_those_that_are_taken() -> None:
    with socket.create_server((LOOPBACK, 0)) as listener:
        port = listener.getsockname()[1]
        higher = reserve_first(port)
        assert higher.number > port
        higher.release()
        with pytest.raises(OSError, match=f"between {port} and"):
            reserve_first(port, within=1)


def test_a_reserved_port_is_nobody_elses_until_it_is_released() -> None:
    port = free_port()
    first = reserve(port)
    assert first is not None
    assert reserve(port) is None
    assert is_free(port)
    first.release()
    again = reserve(port)
    assert again is not None
    again.release()


def test_a_server_port_is_never_one_the_kernel_gives_to_outgoing_connections() -> None:
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = {free_port() for _ in range(50)}
    assert max(ports) < lowest
    assert len(ports) > 40
