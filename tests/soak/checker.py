"""Comparing what subscribers wrote down with what the log holds, by statements of our own."""

from dataclasses import dataclass, field

import asyncpg
import orjson

from tests.soak.record import Record

_LOG = """
SELECT epoch || '-' || seq AS cursor, type, task_id::text AS task_id, body FROM event_log
WHERE tenant = 'acme' AND owner = $1 AND outcome <> 'poison' ORDER BY epoch, seq"""
_KINDS = ("task", "route", "run")

Entry = tuple[str, str]


@dataclass
class Verdict:
    """What was compared, and everything that did not fit."""

    subscribers: int = 0
    connections: int = 0
    deliveries: int = 0
    gaps: int = 0
    torn_speech: int = 0
    pieces_heard: int = 0
    faults: list[str] = field(default_factory=list)


async def compare(database_url: str, records: list[Record]) -> Verdict:
    """Every record against the log: each event once, in order, but for what lies in an announced gap."""
    connection = await asyncpg.connect(database_url)
    try:
        logs = {owner: await _entries(connection, owner) for owner in {record.owner for record in records}}
    finally:
        await connection.close()
    verdict = Verdict()
    for record in records:
        verdict.subscribers += 1
        verdict.connections += record.connections
        verdict.deliveries += record.seen
        verdict.gaps += len(record.gaps)
        verdict.torn_speech += record.torn_speech
        verdict.pieces_heard += record.pieces_heard
        fault = fault_of(record, [entry for entry, task_id in logs[record.owner] if _belongs(record, entry, task_id)])
        if fault is not None:
            verdict.faults.append(f"{record.owner} {record.room}: {fault}")
    return verdict


async def _entries(connection: "asyncpg.Connection[asyncpg.Record]", owner: str) -> list[tuple[Entry, str | None]]:
    rows = await connection.fetch(_LOG, owner)
    return [_entry(row) for row in rows if "resendof" not in orjson.loads(row["body"])]


def _entry(row: "asyncpg.Record") -> tuple[Entry, str | None]:
    name = row["type"].removeprefix("io.ganglion.").removesuffix(".v1")
    return (row["cursor"], name), row["task_id"]


def _belongs(record: Record, entry: Entry, task_id: str | None) -> bool:
    if record.room == "tasks":
        return entry[1].partition(".")[0] in _KINDS
    return task_id == record.room.partition(":")[2]


def fault_of(record: Record, expected: list[Entry]) -> str | None:
    """Why the record is not what the log holds; None if it is."""
    place = 0
    for number, piece in enumerate(record.pieces):
        if number:  # after a gap one may go on anywhere further on, but nowhere else than in the log
            later = [index for index, entry in enumerate(expected) if index >= place and piece and entry == piece[0]]
            place = later[0] if later else (len(expected) if not piece else place)
        for seen in piece:
            if place >= len(expected):
                return f"{seen} was shown and is not in the log there"
            if seen != expected[place]:
                return f"saw {seen} where {expected[place]} follows {expected[place - 1] if place else 'the beginning'}"
            place += 1
    lost_sight = len(record.pieces) > 1 and not record.pieces[-1]
    if place < len(expected) and not record.ended and not lost_sight:
        return f"{len(expected) - place} events were never shown, the first of them {expected[place]}"
    return None
