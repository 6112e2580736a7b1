"""A Postgres cluster for a stack of a test's own, copied from one that is made once in each test process.

Making and migrating one takes more of the machine than all the rest of a stack's start.
"""

import asyncio
import atexit
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from deploy.local.servers import Servers
from storage.migrate import upgrade


async def with_cluster(folder: Path) -> Path:
    """Put a migrated, empty cluster and its password into a state folder that has none yet; returns the folder."""
    source = _source()
    if not (source / "done").exists():
        await _make(source)
    await asyncio.to_thread(_copy, source, folder)
    return folder


@cache
def _source() -> Path:
    source = Path(tempfile.mkdtemp(prefix="ganglion-test-"))
    source.chmod(0o711)
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
