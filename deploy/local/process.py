"""One child process: in its own session, as its own user, watched, and stopped within a deadline."""

import asyncio
import os
import resource
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.identity import Identity
from deploy.local.watchdog import Watchdog

_SHORTEST_POLL, _LONGEST_POLL = 0.005, 0.1  # seconds
_LOG_LIMIT = 10 * 2**20  # bytes
_LAST_LINE = 300  # characters


@dataclass(frozen=True)
class Command:
    """What to run: argv, the whole environment, where its output goes, and how it is asked to stop."""

    argv: tuple[str, ...]
    log: Path
    stop_signal: signal.Signals = signal.SIGTERM
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path = Path("/")


class Process:
    """A started child; the only handle to it."""

    def __init__(self, popen: subprocess.Popen[bytes], command: Command, watchdog: Watchdog) -> None:
        self._popen = popen
        self._command = command
        self._watchdog = watchdog
        self._forgotten = False

    @property
    def pid(self) -> int:
        """Its process id, also after it ended."""
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """How it ended (negative: by which signal), or None while it runs."""
        code = self._popen.poll()
        if code is not None and not self._forgotten:
            self._forgotten = True
            self._watchdog.forget(self.pid)
        return code

    async def wait(self, within: float | None = None) -> int | None:
        """Its exit code, or None when it still runs after `within` seconds."""
        start = time.monotonic()
        while (code := self.exit_code) is None:
            elapsed = time.monotonic() - start
            if within is not None and elapsed > within:
                return None
            # Often at first, for a quick stop; seldom later, or watching would cost a share of a core.
            await asyncio.sleep(min(_SHORTEST_POLL + elapsed / 10, _LONGEST_POLL))
        return code

    async def ended(self) -> str:
        """Wait until it ends, and say how, with the last line it wrote."""
        code = await self.wait() or 0
        how = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
        return f"{how}: {self.log_tail(lines=1)[-_LAST_LINE:]}"

    async def stop(self, within: float = 10.0) -> int:
        """Ask it to stop, kill it after `within` seconds; returns the exit code."""
        self.signal(self._command.stop_signal)
        self.signal(signal.SIGCONT)
        code = await self.wait(within)
        return await self.kill() if code is None else code

    async def kill(self) -> int:
        """SIGKILL, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        code = await self.wait()
        return -signal.SIGKILL if code is None else code

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; harmless when it has ended."""
        if self.exit_code is None:
            self._popen.send_signal(number)

    def log_tail(self, lines: int = 12) -> str:
        """The last lines it wrote, for an error message."""
        with self._command.log.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 8192))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])


@dataclass(frozen=True)
class Launcher:
    """Starts children that all end with us, hold the state folder's lock and run as `identity`."""

    watchdog: Watchdog
    lock: int
    identity: Identity | None = None

    def launch(self, command: Command) -> Process:
        """Start a child with its output appended to `command.log`; raises OSError when it cannot."""
        raise_file_limit()
        rotate(command.log)
        user = self.identity
        with command.log.open("ab") as log:
            popen = subprocess.Popen(  # noqa: S603 - argv comes from our own tables, never from input
                command.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(command.env),
                cwd=command.cwd,
                start_new_session=True,  # Ctrl-C reaches us first; we stop children in order
                umask=0o077,
                user=user.uid if user else None,
                group=user.gid if user else None,
                extra_groups=[] if user else None,
                pass_fds=(self.lock,),
            )
        self.watchdog.watch(popen.pid, command.stop_signal)
        return Process(popen, command, self.watchdog)


def raise_file_limit() -> None:
    """Lift our limit of open files to what is allowed; children inherit it, and sockets are files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft not in {hard, resource.RLIM_INFINITY}:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def rotate(log: Path) -> None:
    """Keep one older log beside the current one: the last 10 MiB of what was written until now.

    Copies and truncates, so that a running child that appends goes on writing to the same file.
    """
    if log.exists() and log.stat().st_size > _LOG_LIMIT:
        with log.open("r+b") as current:
            current.seek(-_LOG_LIMIT, os.SEEK_END)
            log.with_suffix(log.suffix + ".1").write_bytes(current.read(_LOG_LIMIT))
            current.truncate(0)
