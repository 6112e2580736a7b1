"""The files of refinements as consumers read them: what an engine starts from, and what a finished run left."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from pydantic import TypeAdapter

from events.proposal import FileSummary
from storage.faults import store_faults

_FILES = TypeAdapter(dict[str, FileSummary])
_LEFT = """
SELECT id, workflow_id, status, run_id, execution_id, snapshot_id, snapshot_seq, files, base_files, base_version
FROM proposal WHERE task_id = $1"""
_BASE = """
SELECT p.base_version, f.key, b.content
FROM proposal p LEFT JOIN jsonb_each(p.base_files) AS f ON true
LEFT JOIN blob b ON b.tenant = p.tenant AND b.sha256 = f.value ->> 'sha256'
WHERE p.task_id = $1"""


@dataclass(frozen=True, slots=True)
class LeftFiles:
    """What the execution that finished left behind: its last full snapshot, and what it was to change."""

    proposal_id: UUID
    workflow_id: UUID
    status: str
    run_id: UUID
    execution_id: UUID
    snapshot_id: str
    snapshot_seq: int
    files: Mapping[str, FileSummary]
    base: Mapping[str, FileSummary]
    base_version: int


@dataclass(frozen=True, slots=True)
class BaseFiles:
    """The draft as it was when a refinement was asked for: path -> text."""

    version: int
    files: Mapping[str, str]


async def find_left(pool: "asyncpg.Pool[asyncpg.Record]", task_id: UUID) -> LeftFiles | None:
    """The last snapshot of a refinement, None if there is none. Raises StoreUnavailableError."""
    with store_faults():
        row = await pool.fetchrow(_LEFT, task_id)
    if row is None or row["files"] is None:
        return None
    return LeftFiles(
        proposal_id=row["id"],
        workflow_id=row["workflow_id"],
        status=row["status"],
        run_id=row["run_id"],
        execution_id=row["execution_id"],
        snapshot_id=row["snapshot_id"],
        snapshot_seq=row["snapshot_seq"],
        files=_FILES.validate_json(row["files"]),
        base=_FILES.validate_json(row["base_files"]),
        base_version=row["base_version"],
    )


async def find_base(pool: "asyncpg.Pool[asyncpg.Record]", task_id: UUID) -> BaseFiles | None:
    """What a refinement starts from, None if there is no such refinement. Raises StoreUnavailableError."""
    with store_faults():
        rows = await pool.fetch(_BASE, task_id)
    if not rows:
        return None
    return BaseFiles(rows[0]["base_version"], {row["key"]: row["content"].decode() for row in rows if row["key"]})
