"""What every process sets once: a disk that is full, where the logs go, stops nobody."""

import subprocess
import sys
from pathlib import Path

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


def test_who_logs_onto_a_full_disk_goes_on() -> None:
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run([sys.executable, "-c", LOGGING], stdout=subprocess.PIPE, stderr=full, check=False)  # noqa: S603 - our own line
    assert ran.stdout == b"went on\n"
    assert ran.returncode == 0
