"""A server's user can read its binary, wherever the virtual environment lies."""

import os
from pathlib import Path

import pytest

from deploy.local.binaries import nats_server, postgres_folder, readable, valkey_server
from deploy.local.identity import Identity
from tests.support.infrastructure import server_folder

STRANGER = Identity(name="nobody", uid=65534, gid=65534)


@pytest.fixture
def private_installation(tmp_path: Path) -> Path:
    """A small tree like Postgres', below a folder that only we may enter."""
    folder = tmp_path / "venv" / "pginstall18"
    (folder / "bin").mkdir(parents=True)
    (folder / "share").mkdir(mode=0o700)
    (folder / "bin" / "postgres").write_text("#!/bin/sh\necho started\n")
    (folder / "bin" / "postgres").chmod(0o700)
    (folder / "share" / "postgres.bki").write_text("data")
    (folder / "share" / "postgres.bki").chmod(0o600)
    (tmp_path / "venv").chmod(0o700)
    return folder


def test_the_wheels_carry_all_three_servers() -> None:
    for binary in (nats_server(), postgres_folder() / "bin" / "postgres", valkey_server()):
        assert os.access(binary, os.X_OK)


def test_ourselves_need_no_copy(private_installation: Path) -> None:
    assert readable(private_installation, None) == private_installation


def test_a_private_installation_is_copied_where_a_stranger_can_run_it(private_installation: Path) -> None:
    with server_folder() as shared:
        copy = readable(private_installation, STRANGER, shared / "servers")
        assert copy != private_installation
        assert STRANGER.can_reach(copy / "bin" / "postgres")
        assert STRANGER.can_reach(copy / "share")
        assert (copy / "share" / "postgres.bki").stat().st_mode & 0o004


def test_a_copy_is_made_once_per_version(private_installation: Path) -> None:
    with server_folder() as shared:
        first = readable(private_installation, STRANGER, shared / "servers")
        (first / "marker").touch()
        assert readable(private_installation, STRANGER, shared / "servers") == first
        assert (first / "marker").exists()
        (private_installation / "bin" / "postgres").write_text("#!/bin/sh\necho another version\n")
        assert readable(private_installation, STRANGER, shared / "servers") != first


def test_a_single_binary_is_copied_alone(private_installation: Path) -> None:
    binary = private_installation / "bin" / "postgres"
    with server_folder() as shared:
        copy = readable(binary, STRANGER, shared / "servers")
        assert copy.read_text() == binary.read_text()
        assert STRANGER.can_reach(copy)
