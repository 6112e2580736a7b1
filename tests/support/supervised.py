"""A supervisor in a process of its own, as `make up` runs it."""

import asyncio
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from deploy.local.role_process import PROJECT
from deploy.local.runtime import Runtime, read_runtime
from tests.support.eventually import eventually
from tests.support.processes import is_gone

_REPLACED = (
    *("NATS_URL", "DATABASE_URL", "REDIS_URL", "SPEC_ENGINE_URL"),
    *("GANGLION_JWT_SECRET", "GANGLION_PORT", "GANGLION_LOG_SYNC"),
)


class Supervised:
    """A running supervisor on a state folder, and all it wrote to its standard output so far."""

    def __init__(self, process: subprocess.Popen[bytes], home: Path, output: Path) -> None:
        self.process = process
        self.home = home
        self._output = output

    @property
    def output(self) -> str:
        return self._output.read_text()

    @property
    def runtime(self) -> Runtime:
        runtime = read_runtime(self.home)
        assert runtime is not None, self.output
        return runtime

    async def ready(self, within: float = 60.0) -> Runtime:
        """Wait for the banner."""
        await eventually(self._is_ready, within=within)
        return self.runtime

    async def stop(self, number: signal.Signals = signal.SIGTERM, within: float = 40.0) -> int:
        """Send a signal and wait for the end; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return await asyncio.to_thread(self.process.wait, within)

    def _is_ready(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(f"the supervisor ended with {self.process.returncode}:\n{self.output}")
        return "Ganglion is ready" in self.output


@asynccontextmanager
async def supervised(
    home: Path, arguments: Sequence[str] = ("-m", "deploy.local", "up"), env: Mapping[str, str] | None = None
) -> AsyncGenerator[Supervised]:
    """Start a supervisor; afterwards it and everything it started is gone, whatever the test did."""
    inherited = {name: value for name, value in os.environ.items() if name not in _REPLACED}
    output = home / f"output-{uuid.uuid4().hex}.txt"
    with output.open("ab") as sink:
        # Blocking is fine here: it is a fork, and nothing else runs in the test's loop.
        process = subprocess.Popen(  # noqa: S603, ASYNC220 - our own modules; as above
            [sys.executable, *arguments],
            stdout=sink,
            stderr=subprocess.STDOUT,
            cwd=PROJECT,
            env={**inherited, "GANGLION_HOME": str(home), "PYTHONUNBUFFERED": "1", **(env or {})},
        )
    stack = Supervised(process, home, output)
    try:
        yield stack
    finally:
        last = read_runtime(home)
        started = last.pids.values() if last and last.supervisor == process.pid else ()
        await stack.stop()
        await eventually(lambda: all(pid is None or is_gone(pid) for pid in started), within=10)
