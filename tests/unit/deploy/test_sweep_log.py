"""The count of re-sends that the chaos and kill tests rely on reads what the product writes."""

import subprocess
import sys

from tests.support.sweep_log import resent_in

_PROGRAM = """
import structlog
from events.process import configure_logs
configure_logs()
structlog.get_logger().warning("swept", resent=3, total=5, epoch="e")
structlog.get_logger().warning("other", resent=7)
"""


def test_re_sends_are_counted_in_the_logs_as_they_are_written() -> None:
    ran = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)  # noqa: S603 - our own line
    assert resent_in(f'{ran.stderr}{{"event": "swept", "res') == 3
