"""`python -m bench.peers celery|procrastinate|taskiq`: one peer's figures as a line of JSON.

Runs in the peers' environment, beside servers whose URLs are in `PEER_REDIS_URL`, `PEER_DATABASE_URL` and
`PEER_NATS_URL`; `bench.beside` starts both.
"""

import asyncio
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, cast

_TASKS, _WARM_UP, _ALONE = 3_000, 300, 200
_STOPS_WITHIN = 10.0


class Peer(Protocol):
    """A task queue with a client of its own; `worker` is the command that does the work."""

    name: str
    worker: Sequence[str]

    async def open(self) -> None:
        """Connect."""

    async def close(self) -> None:
        """Let go of the connections."""

    async def many(self, count: int) -> None:
        """Send so many tasks as quickly as it takes them, and return when all have their results."""

    async def one(self) -> None:
        """Send one task and return when it has its result."""


@contextmanager
def _working(command: Sequence[str]) -> Iterator[None]:
    """The peer's worker, with its children in a group of their own, so that none is left."""
    with subprocess.Popen(command, start_new_session=True, stdout=sys.stderr) as worker:  # noqa: S603 - a fixed command
        try:
            yield
        finally:
            worker.terminate()
            try:
                worker.wait(_STOPS_WITHIN)
            except subprocess.TimeoutExpired:
                os.killpg(worker.pid, signal.SIGKILL)


async def measure(peer: Peer) -> dict[str, object]:
    """Tasks a second, and the seconds of each of 200 tasks sent alone; after a warm-up."""
    await peer.open()
    try:
        with _working(peer.worker):
            await peer.one()
            await peer.many(_WARM_UP)
            begin = time.perf_counter()
            await peer.many(_TASKS)
            rate = _TASKS / (time.perf_counter() - begin)
            return {"rate": rate, "seconds": [await _timed(peer) for _ in range(_ALONE)]}
    finally:
        await peer.close()


async def _timed(peer: Peer) -> float:
    begin = time.perf_counter()
    await peer.one()
    return time.perf_counter() - begin


if __name__ == "__main__":
    found = importlib.import_module(f"bench.peers.{sys.argv[1]}_peer")
    print(json.dumps(asyncio.run(measure(cast("Peer", found.Peer())))))
