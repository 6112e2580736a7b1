"""Ctrl-C while the command is still being read, which takes most of its first second."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[3]
SLOW = """
import time
print("reading", flush=True)
time.sleep(60)
"""
WRAPPING = f"""
try:
    exec({SLOW!r})
except KeyboardInterrupt:
    raise RuntimeError("Error calling __set_name__")
"""


@pytest.mark.parametrize("library", [SLOW, WRAPPING])
def test_an_interrupt_while_libraries_are_read_ends_it_in_silence(tmp_path: Path, library: str) -> None:
    (tmp_path / "typer.py").write_text(library)
    path = os.pathsep.join((str(tmp_path), str(PROJECT)))
    with subprocess.Popen(
        [sys.executable, "-c", "from cli.__main__ import main; main(['status'])"],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as command:
        assert command.stdout is not None
        assert command.stdout.readline() == "reading\n"
        command.send_signal(signal.SIGINT)
        out, err = command.communicate(timeout=30)
    assert (command.returncode, out, err) == (130, "", "")
