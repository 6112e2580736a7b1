"""What must hold after any fault, read from the database and the stream themselves, never from a log of ours.

The invariants are those of docs/reliability.md: nothing lost, nothing twice, every sequence accounted for, and a
subscriber who resumed saw each state event once and in order.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Self
from uuid import UUID

import asyncpg

from events.base import Event, EventData
from events.codec import decode_structured
from events.run import RunFinished, RunStarted
from events.task import FINAL, TaskChecked, TaskEntered
from producers.connect import BusSettings, Connection
from tests.support.eventually import eventually
from tests.support.promises import OutOfPatienceError, a_promise
from tests.support.stack_follower import Follower
from tests.support.stack_parts import Parts

_PLACES = """
SELECT epoch, seq FROM event_log
UNION ALL SELECT epoch, seq FROM event_repeat
UNION ALL SELECT epoch, generate_series(first_seq, last_seq) FROM event_gap"""
_EVENTS = "SELECT epoch, seq, outcome, body FROM event_log WHERE task_id = ANY($1::uuid[]) ORDER BY epoch, seq"
_OPEN = """
SELECT id, status, reason, attempt, count(*) OVER () AS open, clock_timestamp() - updated_at AS since, ARRAY(
  SELECT concat(e.type, ' ', e.outcome, ' at ', e.seq) FROM event_log e WHERE e.task_id = t.id
  ORDER BY e.epoch DESC, e.seq DESC LIMIT 4) AS newest
FROM task t WHERE id = ANY($1::uuid[]) AND status <> ALL($2::text[]) ORDER BY updated_at LIMIT 3"""

Entry = tuple[str, str, str]
"""Cursor, task and name of an event."""


@dataclass(frozen=True)
class Logged:
    """One event as the log keeps it."""

    cursor: str
    outcome: str
    event: Event[EventData]

    @property
    def state(self) -> TaskEntered | None:
        """What the keeper announced with it, unless it is a re-send."""
        data = self.event.data
        return data if isinstance(data, TaskEntered) and self.event.resendof is None else None


def _told(left: Sequence[asyncpg.Record]) -> str:
    """How many tasks are open, and of the oldest: where, since when, after which events."""
    some = (
        f"{row['id']} is {row['status']} (reason {row['reason']}, attempt {row['attempt']}) for {row['since']}, "
        f"newest first: {', '.join(row['newest'])}"
        for row in left
    )
    return f"{left[0]['open'] if left else 0}; {'; '.join(some)}"


class Proof:
    """Questions about some tasks of a stack; `async with Proof(parts) as proof`."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def __aenter__(self) -> Self:
        self._database = await asyncpg.connect(self._parts.database_url)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._database.close()

    async def all_end(self, task_ids: Collection[str], within: float = 60.0) -> None:
        """Wait until every task has a final status; the error says what those that have none wait for."""
        wanted = [UUID(task_id) for task_id in task_ids]

        async def none_is_open() -> bool:
            count = await self._database.fetchval("SELECT count(*) FROM task WHERE id = ANY($1::uuid[])", wanted)
            left = await self._database.fetch(_OPEN, wanted, list(FINAL))
            assert (count, left) == (len(wanted), []), f"{count} of {len(wanted)} are there; open: {_told(left)}"
            return True

        await eventually(none_is_open, within=within, every=0.1)

    async def statuses(self, task_ids: Collection[str]) -> Counter[str]:
        """How many of the tasks are where."""
        wanted = [UUID(task_id) for task_id in task_ids]
        rows = await self._database.fetch("SELECT status FROM task WHERE id = ANY($1::uuid[])", wanted)
        return Counter(row["status"] for row in rows)

    async def tasks_of(self, owner: str) -> set[str]:
        """Every task of an owner that exists."""
        return {str(row["id"]) for row in await self._database.fetch("SELECT id FROM task WHERE owner = $1", owner)}

    async def outcome_at(self, seq: int) -> str | None:
        """What became of the event at a place of the current epoch; None while it is not folded."""
        return await self._database.fetchval(_OUTCOME, seq)  # type: ignore[no-any-return]  # a text column

    async def all_rows(self) -> dict[str, list[str]]:
        """Every row that is folded from the log, as text, in a stable order."""
        return {
            table: [row[0] for row in await self._database.fetch(f"SELECT t::text FROM {table} t ORDER BY 1")]  # noqa: S608 - our own names
            for table in ("task", "run", "verdict", "tool_call")
        }

    async def repeats(self) -> int:
        """How many events came again and were recognised."""
        count: int = await self._database.fetchval("SELECT count(*) FROM event_repeat")
        return count

    async def runs(self, task_id: str) -> list[tuple[int, str]]:
        """Attempt and status of each run of a task."""
        rows = await self._database.fetch(_RUNS, UUID(task_id))
        return [(row["attempt"], row["status"]) for row in rows]

    async def no_effect_is_doubled(self, task_ids: Collection[str]) -> None:
        """Each task: dense versions, one final state and that at the end, one verdict, one run an attempt."""
        with a_promise():
            for task_id, events in (await self._history(task_ids)).items():
                self._is_one_history(task_id, events)
                await self._has_one_row_each(UUID(task_id), events)

    def _is_one_history(self, task_id: str, events: Sequence[Logged]) -> None:
        states = [item.state for item in events if item.state is not None]
        assert [state.version for state in states] == list(range(2, len(states) + 2)), task_id
        assert [state.status in FINAL for state in states] == [False] * (len(states) - 1) + [True], task_id
        applied = [item.event.data for item in events if item.outcome == "applied"]
        assert sum(isinstance(data, TaskChecked) for data in applied) == 1, task_id
        kinds = [type(data) for data in applied]
        assert RunStarted not in kinds[: kinds.index(TaskChecked)], task_id
        for kind in (RunStarted, RunFinished):
            attempts = Counter(data.attempt for data in applied if isinstance(data, kind))
            assert all(count == 1 for count in attempts.values()), (task_id, kind)

    async def _has_one_row_each(self, task_id: UUID, events: Sequence[Logged]) -> None:
        last = [item.state for item in events if item.state is not None][-1]
        task = await self._database.fetchrow("SELECT status, version FROM task WHERE id = $1", task_id)
        assert tuple(task or ()) == (last.status, last.version)
        attempts = [attempt for attempt, _ in await self.runs(str(task_id))]
        assert attempts == sorted(set(attempts))
        assert await self._database.fetchval("SELECT count(*) FROM verdict WHERE task_id = $1", task_id) == 1

    async def every_sequence_is_accounted_for(self) -> None:
        """The keeper is level with the log, its outbox is empty, and each place of each epoch is noted once."""
        last = await eventually(self._is_level, within=20, every=0.05)
        places: dict[str, list[int]] = defaultdict(list)
        for row in await self._database.fetch(_PLACES):
            places[row["epoch"]].append(row["seq"])
        with a_promise():
            before = 0
            for epoch, sequences in sorted(places.items()):
                first = min(sequences)
                assert first <= before + 1, epoch  # where an epoch goes on with a log that had only lost its end
                assert sorted(sequences) == list(range(first, first + len(sequences))), epoch
                before = max(sequences)
            assert before >= last

    async def _is_level(self) -> int:
        """The last sequence of BUS, once it is folded and everything that was committed is read back."""
        settings = BusSettings.model_validate({"nats_url": self._parts.servers.nats_url})
        async with Connection(settings, "proof") as client:
            last: int = (await client.jetstream().stream_info("BUS")).state.last_seq
        assert await self._database.fetchval("SELECT position FROM keeper") >= last
        assert await self._database.fetchval("SELECT count(*) FROM outbox") == 0
        return last

    async def was_seen_once_in_order(self, live: Follower, task_ids: Collection[str]) -> None:
        """What a subscriber saw of the tasks, states and facts, is exactly what the log holds, in the log's order."""

        async def both() -> tuple[list[Entry], list[Entry]]:
            logged = await self._shown_entries(task_ids)
            return [(one.cursor, one.task_id, one.event) for one in live.seen if one.task_id in task_ids], logged

        async def agrees() -> bool:
            seen, logged = await both()
            return seen == logged

        # A late fact may be on its way to either of them; what never agrees is judged.
        with suppress(OutOfPatienceError):
            await eventually(agrees, within=10, every=0.2)
        seen, logged = await both()
        with a_promise():
            assert seen == logged, f"{_difference(seen, logged)}; {live}; gaps {live.gaps}"

    async def _shown_entries(self, task_ids: Collection[str]) -> list[Entry]:
        found = [
            (item.cursor, str(item.event.taskid), f"{item.event.data.aggregate}.{item.event.data.event_name}")
            for events in (await self._history(task_ids)).values()
            for item in events
            if item.event.resendof is None
        ]
        return sorted(found, key=lambda entry: _place(entry[0]))

    async def _history(self, task_ids: Collection[str]) -> Mapping[str, list[Logged]]:
        wanted = [UUID(task_id) for task_id in task_ids]
        found: dict[str, list[Logged]] = {task_id: [] for task_id in task_ids}
        for row in await self._database.fetch(_EVENTS, wanted):
            event = decode_structured(row["body"])
            found[str(event.taskid)].append(Logged(f"{row['epoch']}-{row['seq']}", row["outcome"], event))
        return found


_OUTCOME = """
SELECT outcome FROM event_log l JOIN keeper k USING (epoch) WHERE seq = $1
UNION ALL SELECT 'duplicate' FROM event_repeat r JOIN keeper k USING (epoch) WHERE seq = $1"""
_RUNS = "SELECT attempt, status FROM run WHERE task_id = $1 ORDER BY attempt"


def _difference(shown: Sequence[tuple[str, str, str]], expected: Sequence[tuple[str, str, str]]) -> str:
    """What was not shown, what was shown and is not in the log or is there once only, and where the order breaks."""
    missing, more = Counter(expected) - Counter(shown), Counter(shown) - Counter(expected)
    pairs = zip(shown, expected, strict=False)
    first = next(
        (number for number, (was, wanted) in enumerate(pairs) if was != wanted), min(len(shown), len(expected))
    )
    return (
        f"of {len(expected)} not shown: {sorted(missing.elements())[:9]}; too many of {len(shown)}: "
        f"{sorted(more.elements())[:9]}; from number {first} on: {shown[first : first + 4]}"
    )


def _place(cursor: str) -> tuple[str, int]:
    epoch, _, seq = cursor.partition("-")
    return epoch, int(seq)
