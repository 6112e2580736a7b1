"""Programs that tests run as somebody else's clients, where they are installed."""

import shutil
import subprocess
from functools import cache

NODE = ("node", "--experimental-websocket", "--no-warnings")
"""With a WebSocket of its own: node 20.10 or newer."""


@cache
def absent() -> dict[str, str]:
    """The strangers that cannot be asked here, and why."""
    found = {} if shutil.which("curl") else {"curl": "it is not installed"}
    if shutil.which("node") is None:
        return {**found, "node": "it is not installed"}
    asked = (*NODE, "-e", "process.exit(typeof WebSocket === 'function' ? 0 : 1)")
    knows = subprocess.run(asked, capture_output=True, check=False).returncode == 0  # noqa: S603 - a fixed command
    return found if knows else {**found, "node": "it knows no WebSocket"}
