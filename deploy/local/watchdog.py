"""Ends our children when we are killed: a helper that waits for the end of a pipe.

PR_SET_PDEATHSIG would do on Linux, but it fires when the creating *thread* ends, is lost on a change of user,
needs code between fork and exec, and cannot follow up with SIGKILL. The helper runs this file as a script
with nothing but the standard library: `+PID SIGNAL` registers a child, `-PID` forgets one.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

GRACE = 5.0  # seconds between the polite signal and SIGKILL


class Watchdog:
    """A promise that what is watched ends soon after this process does, however it ends."""

    def __init__(self) -> None:
        self._watched: dict[int, signal.Signals] = {}
        self._closed = False
        self._start()

    @property
    def pid(self) -> int:
        """The helper's process id."""
        return self._helper.pid

    def watch(self, pid: int, stop_signal: signal.Signals) -> None:
        """Register a child and the signal that asks it to stop."""
        self._watched[pid] = stop_signal
        self._tell(_registration(pid, stop_signal))

    def forget(self, pid: int) -> None:
        """Remove a child that has ended."""
        self._watched.pop(pid, None)
        self._tell(f"-{pid}\n")

    def revive(self) -> None:
        """Start the helper again if somebody killed it."""
        if not self._closed and self._helper.poll() is not None:
            os.close(self._pipe)
            self._start()
            self._tell("".join(_registration(pid, number) for pid, number in self._watched.items()))

    def close(self) -> None:
        """End the helper; what is still watched ends with it. Harmless when repeated."""
        if not self._closed:
            self._closed = True
            os.close(self._pipe)
            self._helper.wait()

    def _start(self) -> None:
        reading, self._pipe = os.pipe()
        self._helper = subprocess.Popen(  # noqa: S603 - our own interpreter on our own file
            [sys.executable, "-I", "-S", str(Path(__file__).resolve())],
            stdin=reading,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )
        os.close(reading)

    def _tell(self, text: str) -> None:
        if self._closed:
            return
        try:
            os.write(self._pipe, text.encode())
        except BrokenPipeError:
            self.revive()


def _registration(pid: int, stop_signal: signal.Signals) -> str:
    return f"+{pid} {int(stop_signal)}\n"


def _read_until_parent_ends() -> dict[int, int]:
    watched: dict[int, int] = {}
    for line in sys.stdin:
        pid, _, number = line[1:].strip().partition(" ")
        if line.startswith("+"):
            watched[int(pid)] = int(number)
        else:
            watched.pop(int(pid), None)
    return watched


def _send(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def _end(watched: dict[int, int]) -> None:
    for pid, number in watched.items():
        # A paused process takes the signal only once it runs again.
        _send(pid, number)
        _send(pid, signal.SIGCONT)
    deadline = time.monotonic() + GRACE
    left = set(watched)
    while left and time.monotonic() < deadline:
        left = {pid for pid in left if _send(pid, 0)}
        time.sleep(0.02)
    for pid in left:
        _send(pid, signal.SIGKILL)


if __name__ == "__main__":
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    _end(_read_until_parent_ends())
