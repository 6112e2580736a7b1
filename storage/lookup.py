"""What a consumer may read: the row of a task. Look-ups that come together are one query."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self, cast
from uuid import UUID

import asyncpg
import orjson

from events.errors import PermanentError
from events.message import Role
from events.task import Status, TaskSpec
from storage.called import CalledAgent, find_called
from storage.checkpoints import GivenCheckpoint, find_given
from storage.contexts import SharedContext, read_contexts
from storage.database import DatabaseSettings
from storage.faults import store_faults
from storage.placeholders import names_by_tag
from storage.specifications import BaseFiles, LeftFiles, find_base, find_left
from storage.steps import StepResult, find_capabilities, find_results

_QUERY = """
SELECT id, tenant, owner, session_id, status, attempt, agent_id, run_id, execution_id, spec::text, redacted::text
FROM task WHERE id = ANY($1::uuid[])"""


# The newest messages that fit into so many bytes, at most 1,000; where policy redacts, what the user wrote is redacted.
_SAID_BEFORE = """
SELECT role, text FROM (
  SELECT m.seq, m.role,
         CASE WHEN m.role = 'user' THEN coalesce(t.redacted ->> 'goal', m.content) ELSE m.content END AS text,
         sum(octet_length(m.content)) OVER (ORDER BY m.seq DESC) AS size
  FROM (SELECT * FROM message WHERE session_id = $1 AND seq < (SELECT min(seq) FROM message WHERE task_id = $2)
        ORDER BY seq DESC LIMIT 1000) AS m
  JOIN task AS t ON t.id = m.task_id) AS newest
WHERE size <= $3 ORDER BY seq"""


@dataclass(frozen=True, slots=True)
class Line:
    """One message of a conversation as an agent may see it."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task as an agent's runner needs it; `redacted` holds the texts to use instead of the original ones."""

    id: UUID
    tenant: str
    owner: str
    session_id: str | None
    status: Status
    attempt: int
    agent_id: str | None
    run_id: UUID | None
    execution_id: UUID | None
    spec: TaskSpec
    redacted: dict[str, str]


_HAS_AGENT = "SELECT status <> 'gone' FROM agent WHERE id = $1 || '/' || $2"

# Plans are kept from when the tables were small: then reading all of one is cheapest, and each look-up would go on so.
_SESSION = {"application_name": "ganglion-lookup", "jit": "off", "enable_seqscan": "off"}


class Lookup(Protocol):
    """Read-only access for consumers."""

    async def task(self, task_id: UUID) -> TaskView | None:
        """The task's row, or None. Raises StoreUnavailableError."""

    async def said_before(self, session_id: str, task_id: UUID, max_bytes: int) -> Sequence[Line]:
        """The newest messages before this turn's own, in order, as many as fit. Raises StoreUnavailableError."""

    async def base_files(self, task_id: UUID) -> BaseFiles | None:
        """The draft that a refinement is to change, as it was asked for. Raises StoreUnavailableError."""

    async def left_files(self, task_id: UUID) -> LeftFiles | None:
        """The last snapshot of a refinement's last execution. Raises StoreUnavailableError."""

    async def contexts(self, tenant: str, owner: str, ids: Sequence[UUID]) -> Mapping[UUID, SharedContext]:
        """Those of the named contexts that are this owner's and there still. Raises StoreUnavailableError."""

    async def capabilities(self, tenant: str) -> frozenset[str]:
        """What the agents that work for a tenant can do together. Raises StoreUnavailableError."""

    async def results(self, steps: Sequence[UUID]) -> Sequence[StepResult]:
        """How these tasks ended, in this order. Raises StoreUnavailableError."""

    async def has_agent(self, tenant: str, agent_id: str) -> bool:
        """Whether the agent is registered, heard of or not. Raises StoreUnavailableError."""

    async def checkpoint(self, task_id: UUID) -> GivenCheckpoint | None:
        """The checkpoint that the task's next attempt begins with, if any. Raises StoreUnavailableError."""

    async def called(self, tenant: str, agent_id: str) -> CalledAgent | None:
        """Where an outside agent is called, if it is there and does not pull. Raises StoreUnavailableError."""


class UnreadableTaskError(PermanentError):
    """What a task's row says is not what this program keeps there."""

    code = "unreadable_task"


class PostgresLookup:
    """Reads through a pool; the look-ups of one turn of the event loop share one statement."""

    def __init__(self, settings: DatabaseSettings, *, connections: int = 2) -> None:
        self._pool = asyncpg.create_pool(
            settings.dsn,
            min_size=0,
            max_size=connections,
            timeout=2.0,
            command_timeout=5.0,
            reset=_as_it_is,
            server_settings=_SESSION,
        )
        self._wanted: dict[UUID, asyncio.Future[TaskView | None]] = {}
        self._fetching: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        with store_faults():
            await self._pool
        return self

    async def __aexit__(self, *_: object) -> None:
        self._pool.terminate()

    async def task(self, task_id: UUID) -> TaskView | None:
        """The task's row, or None. Raises StoreUnavailableError and UnreadableTaskError."""
        future = self._wanted.get(task_id)
        if future is None:
            loop = asyncio.get_running_loop()
            if not self._wanted:
                loop.call_soon(self._start)
            future = self._wanted[task_id] = loop.create_future()
        return await asyncio.shield(future)

    async def said_before(self, session_id: str, task_id: UUID, max_bytes: int) -> Sequence[Line]:
        """The newest messages before this turn's own, in order, as many as fit. Raises StoreUnavailableError."""
        with store_faults():
            return [Line(*row) for row in await self._pool.fetch(_SAID_BEFORE, session_id, task_id, max_bytes)]

    async def base_files(self, task_id: UUID) -> BaseFiles | None:
        """The draft that a refinement is to change, as it was asked for. Raises StoreUnavailableError."""
        return await find_base(self._pool, task_id)

    async def left_files(self, task_id: UUID) -> LeftFiles | None:
        """The last snapshot of a refinement's last execution. Raises StoreUnavailableError."""
        return await find_left(self._pool, task_id)

    async def contexts(self, tenant: str, owner: str, ids: Sequence[UUID]) -> Mapping[UUID, SharedContext]:
        """Those of the named contexts that are this owner's and there still. Raises StoreUnavailableError."""
        return await read_contexts(self._pool, tenant, owner, ids)

    async def capabilities(self, tenant: str) -> frozenset[str]:
        """What the agents that work for a tenant can do together. Raises StoreUnavailableError."""
        return await find_capabilities(self._pool, tenant)

    async def results(self, steps: Sequence[UUID]) -> Sequence[StepResult]:
        """How these tasks ended, in this order. Raises StoreUnavailableError."""
        return await find_results(self._pool, steps)

    async def has_agent(self, tenant: str, agent_id: str) -> bool:
        """Whether the agent is registered, heard of or not. Raises StoreUnavailableError."""
        with store_faults():
            return bool(await self._pool.fetchval(_HAS_AGENT, tenant, agent_id))

    async def checkpoint(self, task_id: UUID) -> GivenCheckpoint | None:
        """The checkpoint that the task's next attempt begins with, if any. Raises StoreUnavailableError."""
        return await find_given(self._pool, task_id)

    async def called(self, tenant: str, agent_id: str) -> CalledAgent | None:
        """Where an outside agent is called, if it is there and does not pull. Raises StoreUnavailableError."""
        return await find_called(self._pool, tenant, agent_id)

    async def placeholders(self, tenant: str, session: str) -> dict[str, str]:
        """The session's placeholders by the tags of what they stand for. Raises StoreUnavailableError."""
        return await names_by_tag(self._pool, tenant, session)

    def _start(self) -> None:
        wanted, self._wanted = self._wanted, {}
        task = asyncio.create_task(self._fetch(wanted))
        self._fetching.add(task)
        task.add_done_callback(self._fetching.discard)

    async def _fetch(self, wanted: dict[UUID, asyncio.Future[TaskView | None]]) -> None:
        try:
            with store_faults():
                rows = await self._pool.fetch(_QUERY, list(wanted))
        except Exception as error:  # noqa: BLE001  # whoever waits is told: nobody else would ever answer
            for future in wanted.values():
                if not future.done():
                    future.set_exception(error)
            return
        found = {row["id"]: row for row in rows}
        for task_id, future in wanted.items():
            if not future.done():
                _answer(future, found.get(task_id))


async def _as_it_is(_: object) -> None:
    """Nothing here changes a connection, so none is reset: that would be a round trip after each statement."""


def _answer(future: "asyncio.Future[TaskView | None]", row: asyncpg.Record | None) -> None:
    """One row that cannot be read costs only those who want it."""
    try:
        future.set_result(None if row is None else _view(row))
    except ValueError as error:
        future.set_exception(UnreadableTaskError(type(error).__name__))


def _view(row: asyncpg.Record) -> TaskView:
    return TaskView(
        id=row["id"],
        tenant=row["tenant"],
        owner=row["owner"],
        session_id=row["session_id"],
        status=cast("Status", row["status"]),
        attempt=row["attempt"],
        agent_id=row["agent_id"],
        run_id=row["run_id"],
        execution_id=row["execution_id"],
        spec=TaskSpec.model_validate_json(row["spec"]),
        redacted=orjson.loads(row["redacted"]) if row["redacted"] else {},
    )
