"""A NATS server that loses what it was told lately, as a power cut makes it."""

import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from deploy.local.server import Server


@asynccontextmanager
async def set_back(server: Server, copy: Path) -> AsyncGenerator[None]:
    """The store as it was on entering, whatever is done to it inside."""
    data = server._recipe.data
    await server.kill()
    _copy(data, copy)
    await server.start()
    yield
    await server.kill()
    shutil.rmtree(data)
    _copy(copy, data)
    await server.start()


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, symlinks=True)
    owner = source.stat()
    for path in (target, *target.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)
