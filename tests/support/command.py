"""The `ganglion` command as a user runs it: a process of its own."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

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


@asynccontextmanager
async def started(
    home: Path, *arguments: str, env: Mapping[str, str] | None = None
) -> AsyncGenerator[asyncio.subprocess.Process]:
    """A running command against the stack of `home`; killed afterwards."""
    inherited = {name: value for name, value in os.environ.items() if name not in _OURS}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli", *arguments),
        cwd=_PROJECT,
        env=inherited | {"GANGLION_HOME": str(home), "PYTHONUNBUFFERED": "1"} | dict(env or {}),
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
    async with started(home, *arguments, env=env) as process, asyncio.timeout(within):
        out, err = await process.communicate()
    return Done(process.returncode or 0, out.decode(), err.decode())
