"""Children: their logs stay bounded, and a killed watchdog is replaced."""

import os
import signal
import subprocess
import threading
from collections.abc import Generator
from pathlib import Path

import pytest

from deploy.local.process import rotate
from deploy.local.watchdog import Watchdog


def test_a_small_log_is_left_alone(tmp_path: Path) -> None:
    log = tmp_path / "gateway.log"
    log.write_text("line\n")
    rotate(log)
    assert log.read_text() == "line\n"


def test_a_large_log_is_moved_aside_while_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "gateway.log"
    with log.open("ab") as writer:
        writer.write(b"x" * (10 * 2**20) + b"what it died of\n")
        writer.flush()
        rotate(log)
        writer.write(b"after\n")
    assert log.read_text() == "after\n"
    older = (tmp_path / "gateway.log.1").read_bytes()
    assert len(older) == 10 * 2**20
    assert older.endswith(b"what it died of\n")
    rotate(log)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gateway.log", "gateway.log.1"]


@pytest.fixture
def sleeper() -> Generator[subprocess.Popen[bytes]]:
    """A child that would live for a minute."""
    with subprocess.Popen(["/bin/sleep", "60"]) as child:
        yield child
        child.kill()


def ended_by_closing(watchdog: Watchdog, child: subprocess.Popen[bytes]) -> int:
    """How the child ends; it is reaped at once, since the watchdog takes a zombie for a process."""
    closing = threading.Thread(target=watchdog.close)
    closing.start()
    code = child.wait(timeout=5)
    closing.join()
    return code


def test_closing_the_watchdog_ends_what_it_watches(sleeper: subprocess.Popen[bytes]) -> None:
    watchdog = Watchdog()
    watchdog.watch(sleeper.pid, signal.SIGTERM)
    assert ended_by_closing(watchdog, sleeper) == -signal.SIGTERM


def test_what_was_forgotten_is_left_alone(sleeper: subprocess.Popen[bytes]) -> None:
    watchdog = Watchdog()
    watchdog.watch(sleeper.pid, signal.SIGTERM)
    watchdog.forget(sleeper.pid)
    watchdog.close()
    watchdog.close()
    assert sleeper.poll() is None


def test_a_killed_watchdog_is_replaced_and_knows_its_charges(sleeper: subprocess.Popen[bytes]) -> None:
    watchdog = Watchdog()
    watchdog.watch(sleeper.pid, signal.SIGTERM)
    first = watchdog.pid
    os.kill(first, signal.SIGKILL)
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    watchdog.forget(0)
    assert watchdog.pid != first
    assert ended_by_closing(watchdog, sleeper) == -signal.SIGTERM
