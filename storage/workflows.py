"""Questions about workflows: one by id, a page of many, their versions, and the texts of files."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from uuid import UUID

from sqlalchemy import Row, Select, Table, Uuid, literal, select, tuple_
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.models import blob, workflow, workflow_version
from storage.reading import fetch
from storage.tasks import Anything, Place

FileEntry = Mapping[str, object]
"""One file of a manifest: sha256, size, media_type."""


@dataclass(frozen=True, slots=True)
class WorkflowRow:
    """A workflow as its owner may see it."""

    id: UUID
    tenant: str
    owner: str
    name: str
    description: str | None
    created_at: datetime
    version: int
    draft_version: int
    draft_files: Mapping[str, FileEntry]
    published: int | None
    published_files: Mapping[str, FileEntry]
    updated_at: datetime
    deployed: int | None
    deployed_by: str | None
    deployed_at: datetime | None
    locked_by: str | None
    locked_at: datetime | None
    locked_until: datetime | None


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A version as it was published."""

    number: int
    files: Mapping[str, FileEntry]
    digest: str
    draft_version: int
    published_by: str
    published_at: datetime


_WORKFLOWS = select(*(workflow.c[shown.name] for shown in fields(WorkflowRow)))
_VERSIONS = select(*(workflow_version.c[shown.name] for shown in fields(VersionRow)))


async def find_workflow(engine: AsyncEngine, workflow_id: UUID) -> WorkflowRow | None:
    """The workflow, whoever owns it (the caller must look), or None."""
    rows = await fetch(engine, _WORKFLOWS.where(workflow.c.id == workflow_id))
    return _workflow(rows[0]) if rows else None


async def list_workflows(
    engine: AsyncEngine, tenant: str, owner: str | None, before: Place | None, limit: int
) -> list[WorkflowRow]:
    """At most `limit` workflows of an owner, or of the whole tenant, newest first, from just below `before`."""
    wanted = _WORKFLOWS.where(workflow.c.tenant == tenant)
    if owner is not None:
        wanted = wanted.where(workflow.c.owner == owner)
    return [_workflow(row) for row in await fetch(engine, newest(wanted, workflow, before, limit))]


async def list_versions(engine: AsyncEngine, workflow_id: UUID, below: int | None, limit: int) -> list[VersionRow]:
    """At most `limit` versions, newest first, from just below that number."""
    wanted = _VERSIONS.where(workflow_version.c.workflow_id == workflow_id)
    if below is not None:
        wanted = wanted.where(workflow_version.c.number < below)
    found = await fetch(engine, wanted.order_by(workflow_version.c.number.desc()).limit(limit))
    return [_version(row) for row in found]


async def find_version(engine: AsyncEngine, workflow_id: UUID, named: int | str) -> VersionRow | None:
    """One version by its number, or by the id of the event that asked for it; None if there is none."""
    column = workflow_version.c.number if isinstance(named, int) else workflow_version.c.event_id
    rows = await fetch(engine, _VERSIONS.where(workflow_version.c.workflow_id == workflow_id, column == named))
    return _version(rows[0]) if rows else None


async def texts_of(engine: AsyncEngine, tenant: str, digests: Iterable[str]) -> dict[str, str]:
    """The texts with these digests."""
    wanted = list(dict.fromkeys(digests))
    if not wanted:
        return {}
    rows = await fetch(
        engine, select(blob.c.sha256, blob.c.content).where(blob.c.tenant == tenant, blob.c.sha256.in_(wanted))
    )
    return {sha256: content.decode() for sha256, content in rows}


def newest(wanted: Select[Anything], table: Table, before: Place | None, limit: int) -> Select[Anything]:
    """One page of rows of a table with `created_at` and `id`, newest first."""
    created_at, row_id = table.c.created_at, table.c.id
    if before is not None:
        place = tuple_(literal(before.created_at, TIMESTAMP(timezone=True)), literal(before.id, Uuid()))
        wanted = wanted.where(tuple_(created_at, row_id) < place)
    return wanted.order_by(created_at.desc(), row_id.desc()).limit(limit)


def _workflow(row: Row[Anything]) -> WorkflowRow:
    return WorkflowRow(*row)  # type: ignore[arg-type,call-arg]  # the columns are listed in the order of the fields


def _version(row: Row[Anything]) -> VersionRow:
    return VersionRow(*row)  # type: ignore[arg-type,call-arg]  # as above
