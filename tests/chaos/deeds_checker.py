"""Whether what came of a client's deeds is what it was promised: read from the database at the end, as all else is."""

import json
from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

import asyncpg

from tests.chaos.load import Client

_CONTEXTS = "SELECT id::text, data FROM context WHERE id = ANY($1::uuid[])"
_MESSAGES = """
SELECT m.session_id, m.seq, m.role, m.content FROM message m JOIN session s ON s.id = m.session_id
WHERE s.owner = ANY($1::text[]) ORDER BY m.session_id, m.seq"""
_TOO_SOON = """
SELECT l.task_id FROM event_log l
JOIN unnest($1::uuid[], $2::uuid[]) AS w(later, earlier) ON w.later = l.task_id
JOIN task t ON t.id = w.earlier
WHERE l.type LIKE '%.run.started.%' AND l.outcome = 'applied' AND (t.finished_at IS NULL OR l.time < t.finished_at)"""


class DeedsChecker:
    """`forgotten`: promised and not there, or there twice; `hasty`: begun before what it was to wait for had ended."""

    def __init__(self, clients: Sequence[Client]) -> None:
        self._clients = clients
        self.forgotten: list[str] = []
        self.hasty: list[str] = []

    async def check(self, database: "asyncpg.Connection[asyncpg.Record]") -> None:
        """Read everything once and judge it."""
        await self._contexts(database)
        await self._conversations(database)
        waits = {later: earlier for client in self._clients for later, earlier in client.deeds.record.waits.items()}
        pairs = [UUID(one) for one in waits], [UUID(one) for one in waits.values()]
        self.hasty += [str(row["task_id"]) for row in await database.fetch(_TOO_SOON, *pairs)]
        self.forgotten += [one for client in self._clients for one in client.deeds.record.undivided]

    async def _contexts(self, database: "asyncpg.Connection[asyncpg.Record]") -> None:
        written = {context: places for c in self._clients for context, places in c.deeds.record.written.items()}
        kept = {row["id"]: json.loads(row["data"]) for row in await database.fetch(_CONTEXTS, list(written))}
        for context, places in written.items():
            missing = places - kept.get(context, {}).keys()
            self.forgotten += [f"context {context}: {place}" for place in missing]

    async def _conversations(self, database: "asyncpg.Connection[asyncpg.Record]") -> None:
        """Messages are numbered from 1 without a hole, and what was said is there once."""
        numbers, said = defaultdict[str, list[int]](list), defaultdict[str, list[str]](list)
        for row in await database.fetch(_MESSAGES, [client.owner for client in self._clients]):
            numbers[row["session_id"]].append(row["seq"])
            if row["role"] == "user":
                said[row["session_id"]].append(row["content"])
        for session, found in numbers.items():
            if found != list(range(1, len(found) + 1)):
                self.forgotten.append(f"conversation {session}: {found}")
            self.forgotten += [f"conversation {session}: twice {one}" for one in _twice(said[session])]
        promised = [
            (s, words) for c in self._clients for s, all_said in c.deeds.record.said.items() for words in all_said
        ]
        self.forgotten += [f"conversation {s}: {words}" for s, words in promised if words not in said[s]]


def _twice(words: Sequence[str]) -> set[str]:
    return {one for one in words if words.count(one) > 1}
