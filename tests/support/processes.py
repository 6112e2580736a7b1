"""Looking at processes from outside."""

from pathlib import Path


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
