"""A server's user can read its binary, wherever the virtual environment lies."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.local.binaries import Installation, nats_server, postgres, readable, valkey_server
from deploy.local.identity import Identity
from tests.support.infrastructure import server_folder

STRANGER = Identity(name="nobody", uid=65534, gid=65534)


@pytest.fixture
def private(tmp_path: Path) -> Installation:
    """A small tree like Postgres', with a library beside it, below a folder that only we may enter."""
    root = tmp_path / "venv"
    for folder in ("package/bin", "package/share", "package.libs"):
        (root / folder).mkdir(parents=True)
    for file, mode in (("package/bin/postgres", 0o700), ("package/share/data", 0o600), ("package.libs/libpq", 0o600)):
        (root / file).write_text(file)
        (root / file).chmod(mode)
    root.chmod(0o700)
    return Installation(root, "package/bin/postgres", ("package", "package.libs"))


@pytest.mark.parametrize("find", [nats_server, postgres, valkey_server])
def test_the_wheels_carry_the_server(find: Callable[[], Installation]) -> None:
    assert os.access(find().path, os.X_OK)


def test_ourselves_need_no_copy(private: Installation) -> None:
    assert readable(private, None) == private.path


def test_a_private_installation_is_copied_where_a_stranger_can_run_it(private: Installation) -> None:
    with server_folder() as shared:
        copy = readable(private, STRANGER, shared / "servers")
        assert copy != private.path
        assert STRANGER.can_reach(copy)
        root = copy.parents[2]
        assert STRANGER.can_enter(root / "package.libs")
        for file in ("package/share/data", "package.libs/libpq"):
            assert (root / file).stat().st_mode & 0o004
            assert (root / file).read_text() == file


def test_a_copy_is_made_once_per_version(private: Installation) -> None:
    with server_folder() as shared:
        first = readable(private, STRANGER, shared / "servers")
        (first.parent / "marker").touch()
        assert readable(private, STRANGER, shared / "servers") == first
        assert (first.parent / "marker").exists()
        private.path.write_text("another version")
        assert readable(private, STRANGER, shared / "servers") != first


def test_a_single_binary_is_copied_alone(private: Installation) -> None:
    with server_folder() as shared:
        alone = Installation(private.path.parent, private.path.name)
        copy = readable(alone, STRANGER, shared / "servers")
        assert copy.read_text() == private.path.read_text()
        assert STRANGER.can_reach(copy)


class Outsider(Identity):
    """Somebody who can reach nothing of ours."""

    def can_reach(self, path: Path) -> bool:  # noqa: ARG002 - the signature of the method it replaces
        return False


@pytest.mark.parametrize("find", [nats_server, postgres, valkey_server])
def test_a_copied_server_still_finds_its_libraries(find: Callable[[], Installation]) -> None:
    server = find()
    with server_folder() as shared:
        copy = readable(server, Outsider(name="nobody", uid=65534, gid=65534), shared / "servers")
        assert shared in copy.parents
        for program in sorted({copy, copy.with_name("initdb")}):
            if program.exists():
                answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)  # noqa: S603 - ours
                assert answer.returncode == 0, answer.stderr
