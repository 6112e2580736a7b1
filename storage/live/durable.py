"""What Postgres knows of agents and of the work in their hands: all that the live state is built from."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast
from uuid import UUID

import asyncpg
import orjson

from events.agent import AGENT_STATES, AgentEntered, AgentStatus
from events.run import CALLER_LOST
from storage.database import DatabaseSettings
from storage.faults import hang_up, store_faults
from storage.live.heard import Outcome
from storage.live.store import BEAT_SECONDS

_PAGE = 500
_OUTCOMES: dict[str, Outcome] = {"succeeded": "s", "partial": "p", "failed": "f", "timed_out": "f", "lost": "f"}

_AGENTS = """
SELECT tenant, agent_id, owner, name, agent_type, capabilities::text, technologies::text, capacity, outside, status,
       version, endpoint_url IS NOT NULL AS pushed, $1::float8 - extract(epoch FROM now() - heartbeat_at) AS heard
FROM agent WHERE status <> 'gone'"""
_RUNS = f"""
SELECT a.id, ended.status, extract(epoch FROM ended.finished_at) * 1000 AS at
FROM agent a, LATERAL (
  SELECT r.status, r.finished_at FROM run r JOIN task t ON t.id = r.task_id
  WHERE r.agent_id = a.agent_id AND r.finished_at IS NOT NULL AND r.status <> 'cancelled'
    AND NOT (r.status = 'failed' AND r.tokens IS NULL)  -- its own end was not heard: somebody else ended the task
    AND NOT (r.status = 'lost' AND r.error->>'code' = '{CALLER_LOST}')  -- none of its doing
    AND (NOT a.outside OR t.tenant = a.tenant)
  ORDER BY r.finished_at DESC LIMIT 50) AS ended
WHERE a.status <> 'gone' ORDER BY a.id, ended.finished_at"""
_RUNNING = """
SELECT id, tenant, attempt, agent_id FROM task
WHERE finished_at IS NULL AND status IN ('assigned', 'running') AND agent_id IS NOT NULL
  AND course->'held' IS NULL  -- its run has ended"""
_READY = """
SELECT l.body, t.reason FROM task t JOIN event_log l ON l.id = t.driving_id AND l.type = 'io.ganglion.task.ready.v1'
WHERE t.finished_at IS NULL AND t.status = 'ready'"""
_POSITION = "SELECT epoch, position FROM keeper"


@dataclass(frozen=True, slots=True)
class Known:
    """An agent as it was committed last, and for how many seconds more it counts as heard of."""

    tenant: str
    owner: str
    entered: AgentEntered
    heard: float
    outcomes: tuple[tuple[Outcome, int], ...]


@dataclass(frozen=True, slots=True)
class Held:
    """An attempt in the hands of an agent."""

    task_id: UUID
    tenant: str
    attempt: int
    agent_id: str


@dataclass(frozen=True, slots=True)
class Unrouted:
    """A task that waits for an agent: its task.ready, and why it waits if that was said."""

    body: bytes
    reason: str | None


class Durable:
    """One look at the database, all of the same moment. Raises StoreUnavailableError."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._connection = connection

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: DatabaseSettings) -> AsyncGenerator["Durable"]:
        """Connect for a moment."""
        with store_faults():
            connection = await asyncpg.connect(
                settings.dsn, timeout=2.0, command_timeout=10.0, server_settings={"jit": "off"}
            )
        try:
            yield cls(connection)
        finally:
            await hang_up(connection)

    async def position(self) -> tuple[str, int]:
        """Epoch and sequence up to which the log is committed."""
        with store_faults():
            row = await self._connection.fetchrow(_POSITION)
        return ("", 0) if row is None else (row["epoch"], row["position"])

    @asynccontextmanager
    async def moment(self) -> AsyncGenerator[None]:
        """What is read in this block is of one moment."""
        with store_faults():
            async with self._connection.transaction(isolation="repeatable_read", readonly=True):
                yield

    async def agents(self) -> list[Known]:
        """All agents that are not gone, with how their last 50 runs ended."""
        with store_faults():
            ended: dict[str, list[tuple[Outcome, int]]] = {}
            for row in await self._connection.fetch(_RUNS):
                if (outcome := _OUTCOMES.get(row["status"])) is not None:
                    ended.setdefault(row["id"], []).append((outcome, int(row["at"])))
            rows = await self._connection.fetch(_AGENTS, BEAT_SECONDS)
        return [_known(row, tuple(ended.get(f"{row['tenant']}/{row['agent_id']}", ()))) for row in rows]

    async def held(self) -> AsyncGenerator[list[Held]]:
        """All attempts in agents' hands, in pages; only within `moment`."""
        async for page in self._pages(_RUNNING):
            yield [Held(row["id"], row["tenant"], row["attempt"], row["agent_id"]) for row in page]

    async def unrouted(self) -> AsyncGenerator[list[Unrouted]]:
        """All tasks that wait for an agent, in pages; only within `moment`."""
        async for page in self._pages(_READY):
            yield [Unrouted(row["body"], row["reason"]) for row in page]

    async def _pages(self, query: str) -> AsyncGenerator[list[asyncpg.Record]]:
        with store_faults():
            cursor = await self._connection.cursor(query)
            while page := await cursor.fetch(_PAGE):
                yield page


def _known(row: asyncpg.Record, outcomes: tuple[tuple[Outcome, int], ...]) -> Known:
    entered = AGENT_STATES[cast("AgentStatus", row["status"])](
        agent_id=row["agent_id"],
        version=row["version"],
        name=row["name"],
        agent_type=row["agent_type"],
        capabilities=orjson.loads(row["capabilities"]),
        technologies=tuple(orjson.loads(row["technologies"])),
        capacity=row["capacity"],
        outside=row["outside"],
        pushed=row["pushed"],
    )
    return Known(row["tenant"], row["owner"], entered, max(0.0, float(row["heard"])), outcomes)
