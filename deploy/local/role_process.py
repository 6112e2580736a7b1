"""A role of Ganglion as a child process of the supervisor."""

import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.local.errors import StackError
from deploy.local.process import Command, Launcher, Process
from deploy.local.roles import Role

PROJECT = Path(__file__).resolve().parents[2]


class RoleProcess:
    """One role. It counts as started when it is launched: whether it is ready only the gateway knows."""

    def __init__(self, role: Role, launcher: Launcher, env: Mapping[str, str], log: Path) -> None:
        self._role = role
        self._launcher = launcher
        self._command = Command((sys.executable, *role.arguments), log, env=env, cwd=PROJECT)
        self._process: Process | None = None

    @property
    def name(self) -> str:
        """The role's name."""
        return self._role.name

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process and self._process.exit_code is None else None

    @property
    def last_line(self) -> str:
        """What it wrote last."""
        return self._process.log_tail(lines=1) if self._process else ""

    async def start(self) -> None:
        """Launch it; raises OSError when it cannot be executed."""
        self._process = self._launcher.launch(self._command)

    async def finish(self) -> None:
        """Run it to its end; raises StackError when that is not exit code 0."""
        process = self._process = self._launcher.launch(self._command)
        try:
            reason = await process.ended()
        finally:
            await self.stop()
        if process.exit_code != 0:
            raise StackError(f"{self.name} failed ({reason}); all that it said is in {self._command.log}")

    async def ended(self) -> str:
        """Wait until it ends, and say how, with the last line it wrote."""
        if self._process is None:
            return "it was never started"
        return await self._process.ended()

    async def stop(self) -> int:
        """SIGTERM, SIGKILL after the role's deadline."""
        return await self._process.stop(self._role.stop_within) if self._process else 0
