"""A Postgres cluster for a stack of a test's own, copied from one that is made once in each test session.

Making and migrating one takes more of the machine than all the rest of a stack's start.
"""

import asyncio
import atexit
import fcntl
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

from deploy.local.servers import Servers
from storage.migrate import upgrade
from tests.support.scratch import new_folder

_SOURCE = "GANGLION_TEST_CLUSTER"


def share_cluster() -> None:
    """Let the workers that we start use our cluster, which goes when we end."""
    os.environ[_SOURCE] = str(_source())


async def with_cluster(folder: Path) -> Path:
    """Put a migrated, empty cluster and its password into a state folder that has none yet; returns the folder."""
    source = _source()
    with (source / "making").open("a") as lock:
        await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)  # another worker may be making it
        if not (source / "done").exists():
            await _make(source)
    await asyncio.to_thread(_copy, source, folder)
    return folder


@cache
def _source() -> Path:
    if _SOURCE in os.environ:
        return Path(os.environ[_SOURCE])
    source = new_folder()
    atexit.register(shutil.rmtree, source, ignore_errors=True)
    return source


async def _make(source: Path) -> None:
    async with Servers(source, nats=False, valkey=False) as servers:
        # In a thread: migrating runs an event loop of its own.
        await asyncio.to_thread(upgrade, servers.database_url)
    (source / "done").touch()


def _copy(source: Path, folder: Path) -> None:
    # Not shutil: the owner must stay the same, which is another one when root runs the tests.
    subprocess.run(["cp", "-a", source / "postgres", folder], check=True)  # noqa: S603, S607 - our own folders
    (folder / "secrets").mkdir(mode=0o700)
    shutil.copy2(source / "secrets" / "postgres", folder / "secrets")
