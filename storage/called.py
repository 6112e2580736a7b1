"""Outside agents that are called with their work: where, and what their secret hangs on."""

from dataclasses import dataclass

import asyncpg

from storage.faults import store_faults

_CALLED = """
SELECT endpoint_url, token_hash FROM agent
WHERE id = $1 AND outside AND status <> 'gone' AND endpoint_url IS NOT NULL AND token_hash IS NOT NULL"""


@dataclass(frozen=True, slots=True)
class CalledAgent:
    """An agent that is called; with each registration it has another token, and so another secret."""

    endpoint_url: str
    token_hash: str


async def find_called(pool: "asyncpg.Pool[asyncpg.Record]", tenant: str, agent_id: str) -> CalledAgent | None:
    """The agent, if it is there and is one that is called. Raises StoreUnavailableError."""
    with store_faults():
        row = await pool.fetchrow(_CALLED, f"{tenant}/{agent_id}")
    return None if row is None else CalledAgent(row["endpoint_url"], row["token_hash"])
