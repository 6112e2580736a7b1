"""What a plan is made with and leaves: the capabilities there are, and how the steps of a task ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from pydantic_core import from_json

from events.agent import EVERYONE
from events.base import JsonObject
from storage.faults import store_faults

_CAPABILITIES = """
SELECT DISTINCT jsonb_object_keys(capabilities) FROM agent WHERE tenant = ANY($1::text[]) AND status = 'active'"""
_RESULTS = """
SELECT t.id, coalesce(t.spec->'metadata'->>'step', '') AS step, t.status, t.result::text AS result
FROM unnest($1::uuid[]) WITH ORDINALITY AS wanted(id, place) JOIN task t ON t.id = wanted.id ORDER BY place"""


@dataclass(frozen=True, slots=True)
class StepResult:
    """How one step of a task ended."""

    task_id: UUID
    step: str
    status: str
    result: JsonObject | None


async def find_capabilities(pool: "asyncpg.Pool[asyncpg.Record]", tenant: str) -> frozenset[str]:
    """What the active agents of the tenant, and ours, can do together. Raises StoreUnavailableError."""
    with store_faults():
        return frozenset(row[0] for row in await pool.fetch(_CAPABILITIES, [tenant, EVERYONE]))


async def find_results(pool: "asyncpg.Pool[asyncpg.Record]", steps: Sequence[UUID]) -> Sequence[StepResult]:
    """How these tasks ended, in this order; tasks that are not there are left out. Raises StoreUnavailableError."""
    with store_faults():
        rows = await pool.fetch(_RESULTS, list(steps))
    return [StepResult(row["id"], row["step"], row["status"], _loaded(row["result"])) for row in rows]


def _loaded(text: str | None) -> JsonObject | None:
    return None if text is None else from_json(text)
