"""Procrastinate on Postgres: ten tasks at once in one worker, which notifications wake."""

import sys
from collections.abc import Sequence

from procrastinate import App, PsycopgConnector
from procrastinate.jobs import Status

from bench.peers.work import TEXT, answer, server, until

_AT_ONCE = 100


async def _later(text: str) -> str:
    return answer(text)


app = App(connector=PsycopgConnector(conninfo=server("DATABASE"), min_size=4, max_size=20))
_answer = app.task(_later, name="answer")


class Peer:
    """Defers jobs and looks at their status: Procrastinate keeps no results."""

    name = "procrastinate"
    worker: Sequence[str] = (
        *(sys.executable, "-m", "procrastinate", "--app", "bench.peers.procrastinate_peer.app"),
        *("--log-level", "error", "worker", "--concurrency", "10"),
    )

    async def open(self) -> None:
        """Connect and make the tables."""
        await app.open_async()
        await app.schema_manager.apply_schema_async()

    async def close(self) -> None:
        """Let go of the connections."""
        await app.close_async()

    async def many(self, count: int) -> None:
        """Defer so many jobs, 100 at a time, and wait until all have succeeded."""
        before = await self._succeeded()
        for first in range(0, count, _AT_ONCE):
            await _answer.batch_defer_async(*({"text": TEXT} for _ in range(min(_AT_ONCE, count - first))))

        async def are_done() -> bool:
            return await self._succeeded() == before + count

        await until(are_done)

    async def one(self) -> None:
        """Defer a job and wait until it has succeeded."""
        number = await _answer.defer_async(text=TEXT)

        async def is_done() -> bool:
            return bool(await app.job_manager.get_job_status_async(job_id=number) is Status.SUCCEEDED)

        await until(is_done)

    async def _succeeded(self) -> int:
        row = await app.connector.execute_query_one_async(
            "SELECT count(*) AS number FROM procrastinate_jobs WHERE status = 'succeeded'"
        )
        return int(row["number"])
