"""taskiq on JetStream: tasks pulled one by one, which is its default, results on Valkey, two worker processes."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from taskiq_nats import PullBasedJetStreamBroker
from taskiq_redis import RedisAsyncResultBackend

from bench.peers.work import CHECK_EVERY, TEXT, answer, server

_RESULT_WITHIN = 60.0
_AT_ONCE = 256

broker = PullBasedJetStreamBroker([server("NATS")], stream_name="PEER", durable="peer")
broker = broker.with_result_backend(RedisAsyncResultBackend(server("REDIS"), result_ex_time=600))
_answer = broker.register_task(answer, task_name="answer")


class Peer:
    """Sends tasks and looks for their results, which is how taskiq waits."""

    name = "taskiq"
    worker: Sequence[str] = (
        *(str(Path(sys.executable).with_name("taskiq")), "worker", "bench.peers.taskiq_peer:broker"),
        *("--log-level", "ERROR"),
    )

    async def open(self) -> None:
        """Connect; makes the stream."""
        await broker.startup()

    async def close(self) -> None:
        """Let go of the connections."""
        await broker.shutdown()

    async def many(self, count: int) -> None:
        """Send so many tasks, 256 at a time in flight, and wait for all results."""
        slots = asyncio.Semaphore(_AT_ONCE)

        async def one() -> None:
            async with slots:
                await self.one()

        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(one())

    async def one(self) -> None:
        """Send a task and wait for its result."""
        task = await _answer.kiq(TEXT)
        await task.wait_result(check_interval=CHECK_EVERY, timeout=_RESULT_WITHIN)
