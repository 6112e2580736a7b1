"""Keeping a child alive: restarts with growing pauses, counted and said aloud."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from deploy.local.errors import StackError

FIRST_PAUSE = 0.2  # seconds
LONGEST_PAUSE = 10.0
STABLE_AFTER = 30.0

Say = Callable[[str], None]


class Child(Protocol):
    """A server or a role: something that runs, may end, and can be started again."""

    @property
    def name(self) -> str:
        """Its role, as in runtime.json."""

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""

    async def start(self) -> None:
        """Start it; raises StackError or OSError."""

    async def ended(self) -> str:
        """Wait until it ends, and say how."""

    async def stop(self) -> int:
        """Stop it for good; returns the exit code."""


class Guard:
    """Starts one child again whenever it ends, after 0.2 s doubling to 10 s; 30 s of life reset the pause."""

    def __init__(self, child: Child, *, say: Say, changed: Callable[[], None]) -> None:
        self.child = child
        self.restarts = 0
        self.last_error: str | None = None
        self._say = say
        self._changed = changed

    async def keep(self) -> None:
        """Watch a started child until cancelled."""
        pause = FIRST_PAUSE
        while True:
            since = time.monotonic()
            reason = await self.child.ended()
            if time.monotonic() - since >= STABLE_AFTER:
                pause = FIRST_PAUSE
            pause = await self._restart(reason, pause)

    async def _restart(self, reason: str, pause: float) -> float:
        while True:
            self.last_error = reason
            self._changed()
            self._say(f"{self.child.name} ended ({reason.splitlines()[0]}); starting it again in {pause:g} s")
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
            try:
                await self.child.start()
            except (StackError, OSError) as error:
                reason = str(error)
                continue
            self.restarts += 1
            self._say(f"{self.child.name} is back (pid {self.child.pid})")
            self._changed()
            return pause
