"""The checker: what the clients were promised against what the database holds at the end, and nothing else.

It knows the vocabulary of the events, not the code that makes them; no log of a server of ours is read.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import asyncpg

from events.base import Event, EventData
from events.codec import decode_structured
from events.run import RunFinished, RunStarted
from events.task import FINAL, TaskChecked, TaskEntered
from tests.chaos.deeds_checker import DeedsChecker
from tests.chaos.load import SAYING, Client, Request

_TASKS = "SELECT id, owner, status, version, attempt, idempotency_key, reason, root_id::text FROM task"
_EVENTS = """
SELECT task_id, outcome, body FROM event_log WHERE task_id IS NOT NULL AND outcome = 'applied' ORDER BY epoch, seq"""
_PLACES = """
SELECT epoch, seq AS first_seq, seq AS last_seq FROM event_log
UNION ALL SELECT epoch, seq, seq FROM event_repeat
UNION ALL SELECT epoch, first_seq, last_seq FROM event_gap"""


class Row(NamedTuple):
    """A task as the database has it."""

    id: str
    owner: str
    status: str
    version: int
    attempt: int
    key: str | None
    reason: str | None
    root: str | None

    def __str__(self) -> str:
        return f"{self.status}, attempt {self.attempt}, {self.reason}"


@dataclass(slots=True)
class Verdict:
    """What was found; every list must be empty. `unknown` are requests without any answer: they promise nothing."""

    accepted: int = 0
    terminal: int = 0
    unknown: int = 0
    exempt: int = 0
    repeats: int = 0
    gaps: int = 0
    cut_short: int = 0
    recalled: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    ghosts: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    leaked: list[str] = field(default_factory=list)
    unaccounted: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    hasty: list[str] = field(default_factory=list)
    steps: int = 0
    turns: int = 0
    places: int = 0
    waits: int = 0
    outside: int = 0

    @property
    def violations(self) -> dict[str, list[str]]:
        """What is not empty."""
        names = ("lost", "doubled", "ghosts", "disordered", "unchecked", "leaked", "unaccounted", "forgotten", "hasty")
        return {name: found for name in names if (found := getattr(self, name))}


class Checker:
    """Compares; `exempt` are the tasks that a `log` 202 promised and a lost stream took before the keeper had them.

    An agent may be called again under the same run id (its beginning was not heard of, or it looked dead), and one
    execution's result is taken: such calls are counted as `recalled`, and are no violation.
    """

    def __init__(self, clients: Sequence[Client], calls: Path, exempt: set[str]) -> None:
        self._clients = clients
        self._calls = calls
        self._exempt = exempt
        self._verdict = Verdict(exempt=len(exempt))
        self._rows: dict[str, Row] = {}
        self._events: dict[str, list[Event[EventData]]] = defaultdict(list)

    async def check(self, database_url: str) -> Verdict:
        """Read everything once and judge it."""
        database = await asyncpg.connect(database_url)
        try:
            found = [Row(str(row[0]), *tuple(row)[1:]) for row in await database.fetch(_TASKS)]
            self._rows = {row.id: row for row in found}
            for row in await database.fetch(_EVENTS):
                event = decode_structured(row["body"])
                if event.resendof is None:
                    self._events[str(row["task_id"])].append(event)
            self._verdict.repeats = await database.fetchval("SELECT count(*) FROM event_repeat")
            self._verdict.gaps = await database.fetchval("SELECT count(*) FROM event_gap")
            self._account_for(await database.fetch(_PLACES))
            await self._check_deeds(database)
        finally:
            await database.close()
        for client in self._clients:
            self._check_client(client)
        self._check_ghosts()
        self._check_steps()
        self._check_calls()
        return self._verdict

    async def _check_deeds(self, database: "asyncpg.Connection[asyncpg.Record]") -> None:
        deeds, verdict = DeedsChecker(self._clients), self._verdict
        await deeds.check(database)
        verdict.forgotten, verdict.hasty = deeds.forgotten, deeds.hasty
        for record in (client.deeds.record for client in self._clients):
            verdict.turns += sum(map(len, record.said.values()))
            verdict.places += sum(map(len, record.written.values()))
            verdict.waits += len(record.waits)

    def _check_steps(self) -> None:
        """What a divided task was divided into ends like all else."""
        divided = {
            one for client in self._clients for request in client.requests if request.divides for one in request.ids
        }
        for row in self._rows.values():
            if row.root not in divided or row.id in divided:
                continue
            self._verdict.steps += 1
            if row.status in FINAL:
                self._check_history(row.id, row)
            else:
                self._verdict.lost.append(f"{row.id}, a step of {row.root}: {row}")

    def _check_client(self, client: Client) -> None:
        self._verdict.leaked += [f"{client.owner}: {what}" for what in client.wrong]
        forged = [request.key for request in client.forged if not request.ids & self._exempt]
        self._verdict.leaked += [f"{client.owner}: another body accepted under the key {key}" for key in forged]
        mine = {row.id for row in self._rows.values() if row.owner == client.owner}
        # A task without a row was seen in a log that is lost now: it was the subscriber's own, or it would have one.
        foreign = {one.task_id for one in client.live.seen if one.task_id in self._rows} - mine
        self._verdict.leaked += [f"{client.owner} saw {task_id}" for task_id in foreign]
        for request in client.requests:
            if not request.ids:
                self._verdict.unknown += 1
                continue
            self._verdict.accepted += 1
            self._check_request(request)
        self._check_seen(client, mine)

    def _check_request(self, request: Request) -> None:
        verdict = self._verdict
        if len(request.ids) > 1:
            verdict.doubled.append(f"one key, tasks {sorted(request.ids)}")
        for task_id in request.ids - self._exempt:
            row = self._rows.get(task_id)
            if row is None or row.status not in FINAL:
                verdict.lost.append(f"{task_id} ({request.durability}): {row or 'no row'}")
                continue
            verdict.terminal += 1
            verdict.outside += request.capability is not None and row.status == "succeeded"
            self._check_history(task_id, row)

    def _check_history(self, task_id: str, row: Row) -> None:
        """Dense versions, one final state and that last, one verdict, one start and one end an attempt."""
        verdict, data = self._verdict, [event.data for event in self._events[task_id]]
        states = [one for one in data if isinstance(one, TaskEntered)]
        if [one.version for one in states] != list(range(2, len(states) + 2)):
            verdict.disordered.append(f"{task_id}: versions {[one.version for one in states]}")
        if not states or (states[-1].status, states[-1].version) != (row.status, row.version):
            verdict.disordered.append(f"{task_id}: the row says {row.status} {row.version}")
        if sum(one.status in FINAL for one in states) != 1:
            verdict.doubled.append(f"{task_id}: {[one.status for one in states]}")
        if sum(isinstance(one, TaskChecked) for one in data) > 1:
            verdict.doubled.append(f"{task_id}: two verdicts")
        for kind in (RunStarted, RunFinished):
            attempts = Counter(one.attempt for one in data if isinstance(one, kind))
            verdict.doubled += [
                f"{task_id}: {kind.__name__} of attempt {n}" for n, times in attempts.items() if times > 1
            ]
        kinds = [type(one) for one in data]
        if RunStarted in kinds and TaskChecked not in kinds[: kinds.index(RunStarted)]:
            verdict.unchecked.append(task_id)

    def _check_seen(self, client: Client, mine: set[str]) -> None:
        """Each state once and in order; what is missing was announced as a gap, and may be told again behind it."""
        seen: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for place, one in enumerate(client.live.seen):
            version = one.data.get("version")
            if isinstance(version, int):
                seen[one.task_id].append((bisect_right(client.live.gaps, place), version))
        announced = bool(client.live.gaps)
        for task_id in mine:
            versions = [version for _, version in seen[task_id]]
            between: dict[int, list[int]] = defaultdict(list)
            for gaps, version in seen[task_id]:
                between[gaps].append(version)
            if any(told != sorted(set(told)) for told in between.values()):
                self._verdict.disordered.append(f"{client.owner} saw {task_id} as {versions}")
            expected = [one.data.version for one in self._events[task_id] if isinstance(one.data, TaskEntered)]
            if versions == expected:
                continue
            if announced:
                self._verdict.cut_short += 1
            else:
                self._verdict.disordered.append(f"{client.owner} saw {versions} of {expected} of {task_id}")

    def _check_ghosts(self) -> None:
        """Nothing exists that no client sent."""
        keys = {request.key for client in self._clients for request in client.requests}
        keys |= {key for client in self._clients for key in client.deeds.record.turns}
        owners = {client.owner for client in self._clients}
        rows = [row for row in self._rows.values() if row.owner in owners and row.root in (None, row.id)]
        self._verdict.ghosts += [row.id for row in rows if row.key not in keys]
        times = Counter(row.key for row in rows)
        self._verdict.doubled += [f"key {key}: {count} tasks" for key, count in times.items() if count > 1]

    def _check_calls(self) -> None:
        """The agent was never called for a text that nobody sent; calls beyond one an attempt are counted."""
        lines = self._calls.read_text().splitlines() if self._calls.exists() else []
        asked = [request for client in self._clients for request in client.requests]
        texts = {request.text: request for request in asked if not request.divides}  # steps say what it says, too
        for text, times in Counter(lines).items():
            request = texts.get(text)
            if request is None:
                if text.startswith(SAYING):
                    self._verdict.ghosts.append(f"the agent was asked: {text}")
                continue  # else it was the readiness probe's
            rows = [self._rows[task_id] for task_id in request.ids if task_id in self._rows]
            attempts = sum(max(row.attempt, 1) for row in rows)
            self._verdict.recalled += max(0, times - attempts) if request.ids else 0

    def _account_for(self, places: Sequence[asyncpg.Record]) -> None:
        """Every sequence of every epoch is noted exactly once."""
        spans: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for row in places:
            spans[row["epoch"]].append((row["first_seq"], row["last_seq"]))
        for epoch, found in spans.items():
            found.sort()
            for (_, end), (start, _) in pairwise(found):
                if start != end + 1:
                    self._verdict.unaccounted.append(f"{epoch}: {end} is followed by {start}")


def promised_to_the_log(requests: Iterable[Request], known: Mapping[UUID, str]) -> set[str]:
    """The tasks that were accepted as `log` and are not in the database: a store that is lost now may lose them.

    `known` is what each task in the database is asked to do: another body under the same key may have come first.
    """
    return {
        request.task_id
        for request in requests
        if request.durability == "log" and request.task_id and known.get(UUID(request.task_id)) != request.text
    }
