"""Deleting all that a stack has stored."""

import asyncio
import shutil
from pathlib import Path

from deploy.local.identity import unprivileged
from deploy.local.lock import StateLock
from deploy.local.servers import data_home


def wipe(home: Path) -> None:
    """Delete the state folder and the servers' data; raises StateInUseError while a stack runs on it."""
    home = home.absolute()
    if not home.exists():
        return
    lock = StateLock(home)
    asyncio.run(lock.acquire())
    try:
        for folder in (data_home(home, unprivileged()), home):
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        lock.release()
