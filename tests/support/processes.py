"""Looking at processes from outside."""

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

_STOPS_WITHIN = 20.0


def freeze(pids: Sequence[int]) -> None:
    """SIGSTOP, and wait until nothing of them runs any more: each thread stops when it is next given a processor."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # a backend of Postgres may end meanwhile
            os.kill(pid, signal.SIGSTOP)
    until = time.monotonic() + _STOPS_WITHIN
    while not all(map(_is_still, pids)):
        assert time.monotonic() < until, "they do not stop"
        time.sleep(0.001)


def _is_still(pid: int) -> bool:
    try:
        threads = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    except (FileNotFoundError, ProcessLookupError):
        return is_gone(pid)
    return all(text.rpartition(")")[2].split()[0] in "TZX" for text in threads)


def is_gone(pid: int) -> bool:
    """Whether a process has ended; a zombie has, since in a container nobody may reap orphans."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return status.rpartition(")")[2].split()[0] == "Z"


def user_of(pid: int) -> int:
    """The user id a process runs as."""
    return Path(f"/proc/{pid}").stat().st_uid


def command_line(pid: int) -> str:
    """What `ps` shows of a process."""
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")


def family(pid: int | None) -> list[int]:
    """The process and its children (Postgres works in children); empty for None or one that has ended."""
    if pid is None or is_gone(pid):
        return []
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [pid, *map(int, children)]
