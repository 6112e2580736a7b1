"""What is due and what is stuck, by Postgres' clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

import asyncpg

from events.task import Status
from storage import absence
from storage.faults import hang_up, store_faults
from storage.portion import portion

_LIMIT = 256
_LOOK = 10_000
_UNROUTED = ["no_capability", "all_busy", "all_open"]


@dataclass(frozen=True, slots=True)
class Due:
    """A task whose time has come, and why: its session was archived, a retry, a deadline, a run past its time, or an
    agent that fell silent.
    """

    why: Literal["archived", "retry", "deadline", "overtime", "silent"]
    id: UUID
    tenant: str
    owner: str
    session_id: str | None
    version: int
    attempt: int
    run_id: UUID | None
    execution_id: UUID | None
    agent_id: str | None
    correlation_id: str
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class DueProposal:
    """A proposal that nobody decided in time."""

    id: UUID
    task_id: UUID
    workflow_id: UUID
    tenant: str
    owner: str
    version: int


@dataclass(frozen=True, slots=True)
class DueContext:
    """A context whose time is over."""

    id: UUID
    session_id: str | None
    tenant: str
    owner: str
    version: int


@dataclass(frozen=True, slots=True)
class Stuck:
    """A task or proposal that has not moved, and where in the log the event is that should have moved it.

    `unrouted`: the router has looked at it and found no agent. `pushed`: its agent is one that is called.
    """

    id: UUID
    status: Status | Literal["extracting"]
    agent_id: str | None
    unrouted: bool
    pushed: bool
    epoch: str
    seq: int


# A run has a little longer: it ends itself at the deadline, with what it has so far.
_PAST_DEADLINE = "deadline_at <= now() - CASE WHEN status = 'running' THEN interval '10 s' ELSE interval '0 s' END"
_DUE = f"""
SELECT CASE WHEN {_PAST_DEADLINE} THEN 'deadline' WHEN status = 'waiting' THEN 'retry'
            WHEN due_at <= now() THEN 'overtime' ELSE 'silent' END AS why,
       id, tenant, owner, session_id, version, attempt, run_id, execution_id, agent_id, correlation_id, traceparent
FROM task
WHERE finished_at IS NULL
  AND ({_PAST_DEADLINE}
       OR (status IN ('waiting', 'running') AND due_at <= now())
       OR (status = 'running' AND heartbeat_at < now() - make_interval(secs => $1)))
LIMIT {_LIMIT}"""

_STUCK = f"""
SELECT t.id, t.status, t.agent_id, t.status = 'ready' AND coalesce(t.reason = ANY($3::text[]), false) AS unrouted,
       t.status = 'assigned' AND {absence.PUSHED} AS pushed, l.epoch, l.seq
FROM task t JOIN event_log l ON l.id = t.driving_id
WHERE t.finished_at IS NULL AND t.status IN ('submitted', 'ready', 'assigned')
  AND NOT (t.status = 'assigned' AND l.epoch = $2 AND NOT {absence.PUSHED} AND EXISTS (
    SELECT FROM agent a WHERE a.id = t.tenant || '/' || t.agent_id))  -- it may lie in the outside agent's queue
  AND (l.epoch < $2 OR greatest(t.updated_at, l.time) < now() - make_interval(secs =>
       CASE WHEN t.status = 'ready' AND t.reason = ANY($3::text[]) THEN $4::float8 ELSE $1::float8 END))
ORDER BY t.updated_at
LIMIT {_LOOK}"""

# The session's first task and the turns of a conversation end with it; whatever else is in it is found here.
_ARCHIVED = f"""
SELECT 'archived' AS why, t.id, t.tenant, t.owner, t.session_id, t.version, t.attempt, t.run_id, t.execution_id,
       t.agent_id, t.correlation_id, t.traceparent
FROM task t JOIN session s ON s.id = t.session_id
WHERE t.finished_at IS NULL AND s.status = 'archived'
LIMIT {_LIMIT}"""

_DUE_PROPOSALS = f"""
SELECT id, task_id, workflow_id, tenant, owner, version FROM proposal
WHERE status = 'pending' AND expires_at <= now() LIMIT {_LIMIT}"""

_DUE_CONTEXTS = f"""
SELECT id, session_id, tenant, owner, version FROM context WHERE open AND expires_at <= now() LIMIT {_LIMIT}"""

_STUCK_PROPOSALS = f"""
SELECT p.id, p.status, NULL AS agent_id, false AS unrouted, false AS pushed, l.epoch, l.seq
FROM proposal p JOIN event_log l ON l.id = p.driving_id
WHERE p.status = 'extracting'
  AND (l.epoch < $2 OR greatest(p.updated_at, l.time) < now() - make_interval(secs => $1))
ORDER BY p.updated_at
LIMIT {_LOOK}"""
_BODIES = portion(
    "place, body",
    """SELECT wanted.place, l.body FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS wanted(epoch, seq, place)
    JOIN event_log l USING (epoch, seq)""",
    "place",
)


class JanitorStore:
    """One connection for the keeper's clockwork. Raises StoreUnavailableError when the database is away."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._connection = connection

    @classmethod
    async def connect(cls, dsn: str) -> "JanitorStore":
        """Open a connection; a statement that stalls is given up after 10 s."""
        with store_faults():
            return cls(await asyncpg.connect(dsn, timeout=2.0, command_timeout=10.0, server_settings={"jit": "off"}))

    async def close(self) -> None:
        """Close the connection, within a second even if the server is gone."""
        await hang_up(self._connection)

    async def due(self, silent_after: float) -> list[Due]:
        """Tasks that are due, at most 768; an agent is silent after so many seconds without a heartbeat."""
        with store_faults():
            due = await self._connection.fetch(_ARCHIVED)
            due += await self._connection.fetch(_DUE, silent_after)
            due += await self._connection.fetch(absence.ABANDONED, silent_after)
        return [Due(**row) for row in {row["id"]: row for row in reversed(due)}.values()]

    async def silent_agents(self, after: float) -> list[absence.Absent]:
        """Agents that were not heard of for so many seconds."""
        return await absence.silent_agents(self._connection, after)

    async def lost_agents(self, after: float, offline: float) -> list[absence.Absent]:
        """Outside agents not heard of for `after` seconds, of which they were offline for so many."""
        return await absence.lost_agents(self._connection, after, offline)

    async def drained_agents(self) -> list[absence.Absent]:
        """Agents that are leaving and have nothing left in hand."""
        return await absence.drained_agents(self._connection)

    async def due_proposals(self) -> list[DueProposal]:
        """Up to 256 proposals whose time to be decided is over."""
        with store_faults():
            return [DueProposal(**row) for row in await self._connection.fetch(_DUE_PROPOSALS)]

    async def due_contexts(self) -> list[DueContext]:
        """Up to 256 contexts whose time is over."""
        with store_faults():
            return [DueContext(**row) for row in await self._connection.fetch(_DUE_CONTEXTS)]

    async def stuck(self, after: float, epoch: str, *, unroutable_after: float) -> list[Stuck]:
        """Up to 10,000 tasks and as many proposals unmoved for `after` s, or driven by an event of an earlier epoch.

        The time counts from when both the fact that moved them last and the event that drives them on were in the log.
        A task that the router found no agent for has moved as far as it could: it counts `unroutable_after` seconds.
        """
        with store_faults():
            found = await self._connection.fetch(_STUCK, after, epoch, _UNROUTED, unroutable_after)
            found += await self._connection.fetch(_STUCK_PROPOSALS, after, epoch)
        return [Stuck(**row) for row in found]

    async def driving(self, stuck: Sequence[Stuck]) -> list[tuple[Stuck, bytes]]:
        """The events that should have moved them, as they were written, for the first of them if these are large."""
        if not stuck:
            return []
        with store_faults():
            found = await self._connection.fetch(_BODIES, [one.epoch for one in stuck], [one.seq for one in stuck])
        return [(stuck[row["place"] - 1], row["body"]) for row in found]
