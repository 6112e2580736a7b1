"""A nats-server whose disk was full writes again only after a restart, however much room there is by then."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from deploy.local.guard import Child, Say

ROOM = 64 * 2**20
"""Bytes that must be free again: with less it would stand still once more at once."""
_REFUSED = re.compile(rb"^\[\d+\] \S+ \S+ \[ERR\] JetStream .*: no space left on device$", re.MULTILINE)
_LOOK_BACK = 2**20


class FullDisk:
    """Reads what the nats-servers among `servers` write into `logs`; `look()` every few seconds.

    It stops one where that helps; whoever guards the server starts it again.
    """

    def __init__(self, servers: Sequence[Child], logs: Path, say: Say) -> None:
        self._logs = {server: logs / f"{server.name}.log" for server in servers if server.name.startswith("nats")}
        self._read = {server: log.stat().st_size for server, log in self._logs.items()}
        self._say = say

    async def look(self) -> None:
        """Stop who has refused to write since the last look although there is room. Raises OSError."""
        for server, log in self._logs.items():
            if self._has_refused(server, log) and shutil.disk_usage(log.parent).free >= ROOM:
                self._say(
                    f"{server.name} found its disk full and writes no more, but there is room again: restarting it"
                )
                await server.stop()

    def _has_refused(self, server: Child, log: Path) -> bool:
        """Whether its log says so since the last look: it does with every write that it refuses."""
        with log.open("rb") as lines:
            end = lines.seek(0, 2)
            begin = self._read[server] if self._read[server] <= end else 0  # a rotated log begins anew
            lines.seek(max(begin, end - _LOOK_BACK))
            self._read[server] = end
            return _REFUSED.search(lines.read()) is not None
