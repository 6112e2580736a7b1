"""What every process sets once: a disk that is full, where the logs go, stops nobody."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

LOGGING = """
import logging
import structlog
from events.process import configure_logs
configure_logs()
for _ in range(3):
    structlog.get_logger().warning("line", text="x" * 10_000)
    logging.getLogger("library").warning("line %s", "x" * 10_000)
print("went on")
"""


LEVELS = """
import logging
import structlog
from events.process import configure_logs
configure_logs()
for level in ("debug", "info", "warning", "error"):
    getattr(structlog.get_logger(), level)("ours-" + level)
    getattr(logging.getLogger("library"), level)("theirs-" + level)
"""


def lines_at(level: str | None) -> subprocess.CompletedProcess[str]:
    environment = {"PYTHONPATH": ":".join(sys.path)} | ({"GANGLION_LOG_LEVEL": level} if level is not None else {})
    command = [sys.executable, "-c", LEVELS]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - our own lines


@pytest.mark.parametrize(
    ("level", "ours", "theirs"),
    [
        (None, "info warning error", "warning error"),
        ("debug", "debug info warning error", "warning error"),
        ("WARNING", "warning error", "warning error"),
        ("error", "error", "error"),
    ],
)
def test_a_process_logs_from_the_level_on_that_is_set(level: str | None, ours: str, theirs: str) -> None:
    said = [json.loads(line)["event"] for line in lines_at(level).stderr.splitlines()]
    assert [line.partition("-")[2] for line in said if line.startswith("ours-")] == ours.split()
    assert [line.partition("-")[2] for line in said if line.startswith("theirs-")] == theirs.split()


def test_a_level_that_is_none_is_named_in_one_line_without_its_value() -> None:
    ended = lines_at("chatty")
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == ["GANGLION_LOG_LEVEL: Input should be 'debug', 'info', 'warning' or 'error'"]


def test_who_logs_onto_a_full_disk_goes_on() -> None:
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run([sys.executable, "-c", LOGGING], stdout=subprocess.PIPE, stderr=full, check=False)  # noqa: S603 - our own line
    assert ran.stdout == b"went on\n"
    assert ran.returncode == 0
