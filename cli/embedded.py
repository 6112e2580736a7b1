"""A whole stack of its own: fresh state, free port, gone afterwards. For the demo, the benchmark and their tests."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.local.errors import StackError
from deploy.local.ports import free_port
from deploy.local.readiness import wait_ready
from deploy.local.runtime import Runtime, read_runtime
from deploy.local.watchdog import Watchdog

_PROJECT = Path(__file__).resolve().parents[1]
_LOOK_EVERY = 0.05  # seconds
_STOP_WITHIN = 30.0
_OTHERS = {
    *("NATS_URL", "DATABASE_URL", "REDIS_URL", "GANGLION_URL", "GANGLION_TOKEN"),
    *("GANGLION_HOST", "GANGLION_METRICS_PORT"),
}
"""What the environment says of another stack, and nothing of this one."""


class StackDidNotStartError(Exception):
    """The embedded stack ended, or was not ready in time; the message holds the last lines it printed."""


class EmbeddedStack:
    """The supervisor as a child process in a temporary folder; `async with EmbeddedStack() as stack`.

    Nothing of it outlives us, however we end: servers, roles, folder (the folder stays after SIGKILL).
    """

    def __init__(self, *, within: float = 40.0) -> None:
        self._within = within
        self._watchdog: Watchdog | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.home = Path()

    def runtime(self) -> Runtime:
        """What runs where at this moment; raises StackDidNotStartError when nothing does."""
        found = read_runtime(self.home)
        if found is None:
            raise StackDidNotStartError(f"no stack is running\n{self._printed()}")
        return found

    async def __aenter__(self) -> Self:
        self.home = temporary_home()
        try:
            self._process = self._launch()
            await self._ready(self._process)
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    def _launch(self) -> subprocess.Popen[bytes]:
        inherited = {name: value for name, value in os.environ.items() if name not in _OTHERS}
        self._watchdog = Watchdog()
        with (self.home / "supervisor.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "deploy.local", "up"],
                cwd=_PROJECT,
                env=inherited | {"GANGLION_HOME": str(self.home), "GANGLION_PORT": str(free_port())},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches us, and we stop it in order
            )
        self._watchdog.watch(process.pid, signal.SIGTERM)
        return process

    async def _ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + self._within
        while (found := read_runtime(self.home)) is None:
            if process.poll() is not None:
                raise StackDidNotStartError(f"the stack ended while starting\n{self._printed()}")
            if time.monotonic() > deadline:
                raise StackDidNotStartError(f"not started after {self._within:g} s\n{self._printed()}")
            await asyncio.sleep(_LOOK_EVERY)
        try:
            await wait_ready(found.gateway_url, within=max(1.0, deadline - time.monotonic()))
        except StackError as error:
            raise StackDidNotStartError(f"{error}\n{self._printed()}") from None

    async def _stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                await asyncio.to_thread(self._process.wait, _STOP_WITHIN)
            except subprocess.TimeoutExpired:
                self._process.kill()
        if self._watchdog is not None:
            self._watchdog.close()
        shutil.rmtree(self.home, ignore_errors=True)

    def _printed(self, lines: int = 15) -> str:
        log = self.home / "supervisor.log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""


def temporary_home() -> Path:
    """A new state folder that, when we are root, the servers' own user can enter; the caller deletes it."""
    folder = Path(tempfile.mkdtemp(prefix="ganglion-"))
    folder.chmod(0o711)
    return folder
