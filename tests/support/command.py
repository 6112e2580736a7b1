"""The `ganglion` command as a user runs it: a process of its own (forked, which is quicker: forked_roles.py)."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import JsonValue

from tests.support.eventually import PATIENCE, eventually
from tests.support.forked_roles import Order, can_fork, mould

_PROJECT = Path(__file__).resolve().parents[2]
_OURS = ("GANGLION_URL", "GANGLION_TOKEN", "GANGLION_HOME", "NATS_URL", "DATABASE_URL", "REDIS_URL")


@dataclass(frozen=True)
class Done:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def documents(self) -> list[dict[str, JsonValue]]:
        """Standard output as JSON, one document a line."""
        return [json.loads(line) for line in self.out.splitlines()]


def _environment(home: Path, env: Mapping[str, str] | None) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in _OURS}
    return inherited | {"GANGLION_HOME": str(home), "PYTHONUNBUFFERED": "1"} | dict(env or {})


@asynccontextmanager
async def started(
    home: Path, *arguments: str, env: Mapping[str, str] | None = None
) -> AsyncGenerator[asyncio.subprocess.Process]:
    """A running command against the stack of `home`; killed afterwards."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli", *arguments),
        cwd=_PROJECT,
        env=_environment(home, env),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def ganglion(home: Path, *arguments: str, env: Mapping[str, str] | None = None, within: float = 30.0) -> Done:
    """Run a command to its end."""
    if not can_fork():
        async with started(home, *arguments, env=env) as process, asyncio.timeout(within * PATIENCE):
            told = await process.communicate()
        return Done(process.returncode or 0, *(text.decode() for text in told))
    with TemporaryDirectory() as folder:
        out, err = (Path(folder) / name for name in ("out", "err"))
        fork = mould().fork(Order("cli", list(arguments), _environment(home, env), str(out), str(err)))
        try:
            await eventually(lambda: fork.poll() is not None, within=within)
        finally:
            fork.send_signal(signal.SIGKILL)
        return Done(fork.poll() or 0, out.read_text(), err.read_text())
