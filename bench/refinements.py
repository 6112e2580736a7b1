"""Refinements with nobody connected: one alone, ten at once, and how soon after a run's end its proposal is there."""

import asyncio
from time import perf_counter
from uuid import UUID

import asyncpg
import httpx

from bench.figures import Row, percentile
from bench.stack import Stack

AT_ONCE = 10
_WITHIN = 120.0
_REQUEST = (
    "A service that collects news on topic {number} every day. It must answer within 200 ms and never store names. "
    "Summarise what it finds, send it by mail, and ask a person before anything is deleted."
)
# The proposal is there when its state is committed and told; both moments are the stream's own.
_DELAYS = """
SELECT extract(epoch FROM min(p.time) - max(r.time)) AS delay
FROM event_log r JOIN event_log p ON p.task_id = r.task_id AND p.type LIKE '%.proposal.pending.%'
WHERE r.type LIKE '%.run.finished.%' AND r.outcome = 'applied' AND r.task_id = ANY($1::uuid[]) GROUP BY r.task_id"""
_PENDING = "SELECT count(*) FROM proposal WHERE task_id = ANY($1::uuid[]) AND status = 'pending'"


class Refinements:
    """The figures of all rounds."""

    def __init__(self) -> None:
        self._alone: list[float] = []
        self._at_once: list[float] = []
        self._delays: list[float] = []

    async def round(self, stack: Stack) -> None:
        """One alone, then ten at once; each on a workflow of its own."""
        headers = {"Authorization": f"Bearer {stack.token}"}
        url = f"http://{stack.host}:{stack.port}"
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30.0, trust_env=False) as client:
            database = await asyncpg.connect(stack.database_url)
            try:
                self._alone.append(await self._wall(client, database, 1))
                self._at_once.append(await self._wall(client, database, AT_ONCE))
            finally:
                await database.close()

    def rows(self) -> list[Row]:
        """Wall times from the first POST to the last proposal; a delay for each refinement."""
        if not self._alone:
            return []
        return [
            Row("refine.alone_s", percentile(self._alone, 0.5), "s"),
            Row(f"refine.at_once_s.{AT_ONCE}", percentile(self._at_once, 0.5), "s"),
            Row("refine.proposal_delay_p50_ms", percentile(self._delays, 0.5) * 1e3, "ms"),
            Row("refine.proposal_delay_max_ms", max(self._delays) * 1e3, "ms"),
        ]

    async def _wall(
        self, client: httpx.AsyncClient, database: "asyncpg.Connection[asyncpg.Record]", count: int
    ) -> float:
        homes = [await _workflow(client, number) for number in range(count)]
        began = perf_counter()
        tasks = await asyncio.gather(*(_refine(client, home, number) for number, home in enumerate(homes)))
        async with asyncio.timeout(_WITHIN):
            await _all_pending(database, tasks)
        wall = perf_counter() - began
        self._delays += [float(row["delay"]) for row in await database.fetch(_DELAYS, tasks)]
        return wall


async def _all_pending(database: "asyncpg.Connection[asyncpg.Record]", tasks: list[UUID]) -> None:
    while True:
        if await database.fetchval(_PENDING, tasks) == len(tasks):
            return
        await asyncio.sleep(0.02)


async def _workflow(client: httpx.AsyncClient, number: int) -> str:
    answer = await client.post("/api/workflows", json={"name": f"bench {number}"})
    answer.raise_for_status()
    return f"/api/workflows/{answer.json()['id']}"


async def _refine(client: httpx.AsyncClient, home: str, number: int) -> UUID:
    answer = await client.post(f"{home}/refinements", json={"instructions": _REQUEST.format(number=number)})
    answer.raise_for_status()
    return UUID(answer.json()["thread_id"])
