"""Stand-ins for the roles of a stack: `python -m tests.support.stub_roles gateway|consumers|broken`."""

import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import FrameType


class Ready(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Be ready, and answer reads that carry a token."""
        reads = self.path.startswith("/api/v1/tasks") and "Authorization" in self.headers
        self.send_response(200 if self.path == "/readyz" or reads else 404)
        self.end_headers()


def finish(_number: int, _frame: FrameType | None) -> None:
    """Say when the stop came, so that a test sees the order."""
    sys.stdout.write(f"stopped {time.monotonic_ns()}\n")
    sys.exit(0)


def main(role: str) -> None:
    """Play the role until told to stop."""
    if role == "broken":
        sys.exit("no such setting")
    signal.signal(signal.SIGTERM, finish)
    print("listens", flush=True)  # noqa: T201 - from now on a stop is heard
    if role == "gateway":
        HTTPServer((os.environ["GANGLION_HOST"], int(os.environ["GANGLION_PORT"])), Ready).serve_forever()
    signal.pause()


if __name__ == "__main__":
    main(sys.argv[1])
