"""The hold on a state folder: who is told to stop what."""

import asyncio
import fcntl
import subprocess
from pathlib import Path

import pytest

from deploy.local import lock
from deploy.local.errors import StateInUseError
from deploy.local.lock import StateLock


def test_servers_that_outlived_all_that_would_end_them_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "_ORPHANS_END_WITHIN", 0.01)
    with subprocess.Popen(["/bin/true"]) as gone:
        gone.wait()
    with (tmp_path / "lock").open("w") as held:
        held.write(str(gone.pid))
        held.flush()
        fcntl.flock(held, fcntl.LOCK_EX)
        servers = [subprocess.Popen(["/bin/sleep", "60"], pass_fds=(held.fileno(),)) for _ in range(2)]
    try:
        with pytest.raises(StateInUseError) as refused:
            asyncio.run(StateLock(tmp_path).acquire())
    finally:
        for server in servers:
            server.kill()
            server.wait()
    first, second = sorted(server.pid for server in servers)
    assert f"is in use by processes {first}, {second}: stop them, or" in str(refused.value)
