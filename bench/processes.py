"""What the processes of a running stack cost: CPU seconds and memory, read from /proc."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Stat:
    parent: int
    ticks: int
    ended_children_ticks: int
    pages: int


def cpu_seconds(pids: Mapping[str, int]) -> dict[str, float]:
    """CPU seconds used so far by each process and its descendants (Postgres works in children)."""
    table = _table()
    return {
        name: sum(table[pid].ticks for pid in _tree(table, root)) / _TICKS
        + (table[root].ended_children_ticks / _TICKS if root in table else 0.0)
        for name, root in pids.items()
    }


def machine_seconds() -> float:
    """CPU seconds all processors together have worked since boot (proc(5), /proc/stat: all but idle and iowait)."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    )
    return (user + nice + system + irq + softirq + steal) / _TICKS


def processors() -> int:
    """How many processors we may use."""
    return len(os.sched_getaffinity(0))


def rss_mib(pids: Mapping[str, int]) -> dict[str, float]:
    """Resident memory of each process, descendants included; what Postgres' children share is counted in each."""
    table = _table()
    return {name: sum(table[pid].pages for pid in _tree(table, root)) * _PAGE / _MIB for name, root in pids.items()}


def _table() -> dict[int, _Stat]:
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            stat = _read(folder)
            if stat is not None:
                found[int(folder.name)] = stat
    return found


def _read(folder: Path) -> _Stat | None:
    """Fields of /proc/PID/stat (proc(5)) after the command's closing parenthesis; None if it has just ended."""
    try:
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return _Stat(
        parent=int(fields[1]),
        ticks=int(fields[11]) + int(fields[12]),
        ended_children_ticks=int(fields[13]) + int(fields[14]),
        pages=int(fields[21]),
    )


def _tree(table: Mapping[int, _Stat], root: int) -> set[int]:
    """The process and its descendants, as far as they live."""
    found = {root} & table.keys()
    while True:
        children = {pid for pid, stat in table.items() if stat.parent in found} - found
        if not children:
            return found
        found |= children
