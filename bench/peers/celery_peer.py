"""Celery, its broker and its results on Valkey: two processes work, one a core."""

import sys
from collections.abc import Sequence

from celery import Celery

from bench.peers.work import TEXT, answer, server

_RESULT_WITHIN = 60.0

app = Celery("bench.peers.celery_peer", broker=server("REDIS"), backend=server("REDIS"))
app.conf.broker_connection_retry_on_startup = True
_answer = app.task(answer, name="answer")


class Peer:
    """Sends tasks and waits for their results, as Celery's documentation does."""

    name = "celery"
    worker: Sequence[str] = (
        *(sys.executable, "-m", "celery", "-A", "bench.peers.celery_peer", "worker"),
        *("--concurrency", "2", "--loglevel", "ERROR"),
    )

    async def open(self) -> None:
        """Connections are made as they are needed."""

    async def close(self) -> None:
        """Let go of the connections."""
        app.close()

    async def many(self, count: int) -> None:
        """Send so many tasks, then wait for all results."""
        for result in [_answer.delay(TEXT) for _ in range(count)]:
            result.get(timeout=_RESULT_WITHIN)

    async def one(self) -> None:
        """Send a task and wait for its result."""
        _answer.delay(TEXT).get(timeout=_RESULT_WITHIN)
