"""One stack per state folder: of our servers only Postgres would notice a second one on its data."""

import asyncio
import contextlib
import fcntl
import os
import time
from pathlib import Path

from deploy.local.errors import StateInUseError

_ORPHANS_END_WITHIN = 10.0  # seconds; the watchdog ends the servers of a killed parent


class StateLock:
    """An exclusive hold on a state folder.

    Every server inherits the descriptor, so the hold lasts until the last of them has ended, also when the
    process that started them was killed.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lock"
        self._descriptor: int | None = None

    @property
    def descriptor(self) -> int:
        """The open file to hand to children."""
        if self._descriptor is None:
            raise StateInUseError("the state folder is not locked by us")
        return self._descriptor

    @property
    def is_held(self) -> bool:
        """Whether it is ours."""
        return self._descriptor is not None

    async def acquire(self) -> None:
        """Take the lock, waiting only for servers whose parent is dead; raises StateInUseError."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + _ORPHANS_END_WITHIN
        while not _try_lock(descriptor):
            holder = _holder(descriptor)
            if (holder and is_alive(holder)) or time.monotonic() > deadline:
                left = [] if holder and is_alive(holder) else _with_open(descriptor)
                os.close(descriptor)
                raise StateInUseError(
                    f"{self._path.parent} is in use by {_named(left or [holder])}: "
                    f"stop {'them' if len(left) > 1 else 'it'}, or set GANGLION_HOME to another folder"
                )
            await asyncio.sleep(0.05)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Let go; harmless when not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(descriptor: int) -> int:
    text = os.pread(descriptor, 32, 0).decode(errors="replace")
    return int(text) if text.isdigit() else 0


def _with_open(descriptor: int) -> list[int]:
    """Who else has this file open, as /proc tells: what is left when all that would end it was killed."""
    wanted = os.fstat(descriptor)
    found: set[int] = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if os.path.samestat(link.stat(), wanted):
                found.add(int(link.parts[2]))
    return sorted(found - {os.getpid()})


def _named(pids: list[int]) -> str:
    return f"process{'es' * (len(pids) > 1)} " + ", ".join(str(pid or "unknown") for pid in pids)


def is_alive(pid: int) -> bool:
    """Whether there is a process with this id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
