"""The life of one server: start with a handshake, stop, kill, pause, resume, wipe."""

import asyncio
import shutil
import signal
import time
from pathlib import Path
from typing import Protocol

from deploy.local.errors import ServerStartError
from deploy.local.process import Command, Launcher, Process

_PROBE_EVERY = 0.01  # seconds
_RELAUNCH_AFTER = 0.2  # seconds

RECOVERING = "it says that it reads what it had stored"
"""What `greet` says of a server that answers and is not ready yet."""


class Recipe(Protocol):
    """What is particular to one kind of server."""

    name: str
    data: Path

    @property
    def url(self) -> str:
        """How a client reaches it, password included."""

    def choose_ports(self) -> None:
        """Pick free ports; called again when a first launch fails, never after a first success."""

    async def prepare(self, launcher: Launcher) -> None:
        """Make the data folder and the configuration; harmless when they exist."""

    def command(self) -> Command:
        """The foreground process to launch."""

    async def greet(self) -> str | None:
        """None after a complete, authenticated handshake, else why there was none; RECOVERING is given all the time.

        A port that merely accepts may belong to somebody else's server.
        """


class Server:
    """One server that keeps its ports and password over stops, crashes and wipes."""

    def __init__(self, recipe: Recipe, launcher: Launcher) -> None:
        self._recipe = recipe
        self._launcher = launcher
        self._process: Process | None = None
        self._has_run = False

    @property
    def name(self) -> str:
        """`nats`, `postgres` or `valkey`."""
        return self._recipe.name

    @property
    def url(self) -> str:
        """How a client reaches it; constant once it has started."""
        return self._recipe.url

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process and self._process.exit_code is None else None

    async def start(self, within: float = 30.0) -> None:
        """Launch it and wait for a full handshake; raises ServerStartError after `within` seconds.

        Who says that it recovers is waited for: killed, it would begin with its recovery anew.
        """
        if self.pid is not None:
            return
        deadline = time.monotonic() + within
        while True:
            if not self._has_run:
                self._recipe.choose_ports()
            await self._recipe.prepare(self._launcher)
            self._process = self._launcher.launch(self._recipe.command())
            reason = await self._greeted(self._process, deadline)
            if reason is None:
                self._has_run = True
                return
            if time.monotonic() > deadline:
                tail = self._process.log_tail()
                await self._process.kill()
                raise ServerStartError(f"{self.name} did not start within {within:g} s: {reason}\n{tail}")
            # It ended at once: its port was taken, or a killed predecessor still holds shared memory.
            await asyncio.sleep(_RELAUNCH_AFTER)

    async def ended(self) -> str:
        """Wait until it ends, and say how."""
        return await self._process.ended() if self._process else "it was never started"

    async def stop(self, within: float = 10.0) -> int:
        """Stop it cleanly, by force after `within` seconds; returns the exit code (0 when not running)."""
        return await self._process.stop(within) if self._process and self.pid else 0

    async def kill(self) -> None:
        """SIGKILL, as a crash would; the data stays."""
        if self._process:
            await self._process.kill()

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing answers."""
        if self._process:
            self._process.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server go on."""
        if self._process:
            self._process.signal(signal.SIGCONT)

    async def wipe(self) -> None:
        """Kill it and delete its data, as a lost disk would; ports and password stay."""
        await self.kill()
        shutil.rmtree(self._recipe.data, ignore_errors=True)

    async def _greeted(self, process: Process, deadline: float) -> str | None:
        """None when it answered, else the last reason, at the deadline or as soon as it has ended."""
        reason: str | None = "no handshake tried"
        while time.monotonic() < deadline or reason == RECOVERING:
            if process.exit_code is not None:
                return f"it ended with code {process.exit_code}"
            reason = await self._recipe.greet()
            if reason is None and process.exit_code is None:
                return None
            await asyncio.sleep(_PROBE_EVERY)
        return reason or "it ended"
