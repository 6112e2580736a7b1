"""Agents that are not heard of, that have drained, and the work that is left in the hands of those that are away."""

from dataclasses import dataclass
from datetime import datetime

import asyncpg

from storage.faults import store_faults

_SILENT = """
SELECT tenant, agent_id, owner, version, heartbeat_at FROM agent
WHERE status IN ('active', 'draining') AND heartbeat_at < now() - make_interval(secs => $1) LIMIT 256"""
_DRAINED = """
SELECT tenant, agent_id, owner, version, heartbeat_at FROM agent a
WHERE status = 'draining' AND NOT EXISTS (
  SELECT FROM task t WHERE t.finished_at IS NULL AND t.status IN ('assigned', 'running') AND t.course->'held' IS NULL
  AND t.agent_id = a.agent_id AND t.tenant = a.tenant)
LIMIT 256"""
# From when it went offline it has as long to be heard of again, however long nobody could hear of anyone.
_LOST = """
SELECT tenant, agent_id, owner, version, heartbeat_at FROM agent
WHERE status = 'offline' AND outside AND heartbeat_at < now() - make_interval(secs => $1)
  AND updated_at < now() - make_interval(secs => $2) LIMIT 256"""
# Of task.assigned, which holds no text of anybody's: it waits for a consumer of ours, not for its agent.
PUSHED = """position('"pushed":true'::bytea IN l.body) > 0"""
# In the order of storage.janitor.Due. Who does not begin for as long as others may be silent counts as silent. So does
# who began with a token that is good no more, because the agent came again: nothing of that run would be heard. What is
# held back from ending is in nobody's hands.
ABANDONED = f"""
SELECT 'silent' AS why, t.id, t.tenant, t.owner, t.session_id, t.version, t.attempt, t.run_id, t.execution_id,
       t.agent_id, t.correlation_id, t.traceparent
FROM task t JOIN agent a ON a.id IN (t.tenant || '/' || t.agent_id, '_/' || t.agent_id)
WHERE t.finished_at IS NULL AND t.status IN ('assigned', 'running') AND t.course->'held' IS NULL
  AND (a.status IN ('offline', 'gone')
       OR (t.status = 'running' AND a.outside AND a.endpoint_url IS NULL AND EXISTS (
             SELECT FROM run r WHERE r.id = t.run_id AND r.started_at < a.token_since))
       OR (t.status = 'assigned' AND a.outside
           AND greatest(t.updated_at, t.heartbeat_at) < now() - make_interval(secs => $1)
           AND NOT EXISTS (SELECT FROM event_log l WHERE l.id = t.driving_id AND {PUSHED})))
LIMIT 256"""


@dataclass(frozen=True, slots=True)
class Absent:
    """An agent, and the moment it was heard of last."""

    tenant: str
    agent_id: str
    owner: str
    version: int
    heartbeat_at: datetime


async def silent_agents(connection: "asyncpg.Connection[asyncpg.Record]", after: float) -> list[Absent]:
    """Agents that were not heard of for so many seconds. Raises StoreUnavailableError."""
    with store_faults():
        return [Absent(**row) for row in await connection.fetch(_SILENT, after)]


async def lost_agents(connection: "asyncpg.Connection[asyncpg.Record]", after: float, offline: float) -> list[Absent]:
    """Outside agents not heard of for `after` seconds and offline for so many of them. Raises StoreUnavailableError."""
    with store_faults():
        return [Absent(**row) for row in await connection.fetch(_LOST, after, offline)]


async def drained_agents(connection: "asyncpg.Connection[asyncpg.Record]") -> list[Absent]:
    """Agents that are leaving and have nothing left in hand. Raises StoreUnavailableError."""
    with store_faults():
        return [Absent(**row) for row in await connection.fetch(_DRAINED)]
