"""Questions about proposals: one by id, a page of many, and who else may see or decide them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Literal, cast
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Row,
    Select,
    Uuid,
    and_,
    any_,
    false,
    func,
    literal,
    not_,
    null,
    or_,
    select,
)
from sqlalchemy.ext.asyncio import AsyncEngine

from events.base import JsonObject
from storage.models import proposal, proposal_access, task
from storage.reading import fetch
from storage.tasks import Anything, Place
from storage.workflows import FileEntry, newest

Access = Literal["owner", "viewer"]


@dataclass(frozen=True, slots=True)
class ProposalRow:
    """A proposal with what its task says of it; `access` is the caller's own, by a grant."""

    id: UUID
    task_id: UUID
    workflow_id: UUID
    tenant: str
    owner: str
    created_at: datetime
    base_version: int
    base_files: Mapping[str, FileEntry]
    status: str
    version: int
    files: Mapping[str, FileEntry] | None
    digest: str | None
    summary: str | None
    ready_at: datetime | None
    expires_at: datetime | None
    decided_by: str | None
    decided_at: datetime | None
    reason: str | None
    conflicts: Sequence[str] | None
    updated_at: datetime
    spec: JsonObject
    task_status: str
    task_reason: str | None
    task_error: JsonObject | None
    access: Access | None


@dataclass(frozen=True, slots=True)
class Grant:
    """Somebody else's access to a proposal."""

    grantee: str
    access: str
    granted_by: str
    granted_at: datetime


ENDED_BADLY = ("failed", "timed_out", "blocked", "cancelled", "skipped")
"""Statuses of a refinement that comes to no proposal, unless it is tried again."""
COMING = frozenset({"processing", "extracting"})
"""Statuses of a proposal that is not there yet."""
WITHOUT_FILES = ("no_files", "task_cancelled")
"""Reasons of a proposal that was closed before there was anything to decide."""

_GOES_ON = and_(proposal.c.status.in_(("processing", "extracting")), task.c.status.not_in(ENDED_BADLY))
_IS_FAILED = or_(
    and_(proposal.c.status.in_(("processing", "extracting")), task.c.status.in_(ENDED_BADLY)),
    and_(proposal.c.status == "expired", func.coalesce(proposal.c.reason.in_(WITHOUT_FILES), false())),
)
Shown = Literal["processing", "completed", "failed", "resolved", "superseded", "expired"]
_SHOWN_AS: Mapping[Shown, ColumnElement[bool]] = {
    "processing": _GOES_ON,
    "completed": proposal.c.status == "pending",
    "failed": _IS_FAILED,
    "resolved": proposal.c.status.in_(("approved", "rejected")),
    "superseded": proposal.c.status == "superseded",
    "expired": and_(proposal.c.status == "expired", not_(_IS_FAILED)),
}
"""What each of the document's words asks for."""


@dataclass(frozen=True, slots=True)
class ProposalFilter:
    """Which proposals to list: a caller's own and those shared with it, or a whole tenant's (owner None)."""

    tenant: str
    owner: str | None
    workflow_id: UUID | None = None
    status: Sequence[Shown] = ()


_OF_TASK = {
    "spec": task.c.spec,
    "task_status": task.c.status,
    "task_reason": task.c.reason,
    "task_error": task.c.error,
}


def _proposals(grantee: str | None) -> Select[Anything]:
    shared = and_(
        proposal_access.c.proposal_id == proposal.c.id,
        proposal_access.c.grantee == grantee,
        proposal_access.c.access != "none",
    )
    own = {**_OF_TASK, "access": proposal_access.c.access if grantee is not None else null()}
    columns = [own[shown.name].label(shown.name) if shown.name in own else proposal.c[shown.name] for shown in _FIELDS]
    rows = proposal.join(task, task.c.id == proposal.c.task_id)
    return select(*columns).select_from(rows.outerjoin(proposal_access, shared) if grantee is not None else rows)


_FIELDS = fields(ProposalRow)


async def find_proposal(engine: AsyncEngine, proposal_id: UUID, caller: str) -> ProposalRow | None:
    """The proposal, whoever may see it (the caller must look), or None."""
    rows = await fetch(engine, _proposals(caller).where(proposal.c.id == proposal_id))
    return _proposal(rows[0]) if rows else None


async def list_proposals(
    engine: AsyncEngine, wanted: ProposalFilter, before: Place | None, limit: int
) -> list[ProposalRow]:
    """At most `limit` proposals, newest first, from just below `before`."""
    conditions: list[ColumnElement[bool]] = [proposal.c.tenant == literal(wanted.tenant)]
    if wanted.owner is not None:
        conditions.append(or_(proposal.c.owner == wanted.owner, proposal_access.c.access.is_not(None)))
    if wanted.workflow_id is not None:
        conditions.append(proposal.c.workflow_id == wanted.workflow_id)
    if wanted.status:
        conditions.append(or_(*(_SHOWN_AS[shown] for shown in wanted.status)))
    page = newest(_proposals(wanted.owner).where(*conditions), proposal, before, limit)
    return [_proposal(row) for row in await fetch(engine, page)]


async def grants_of(engine: AsyncEngine, proposal_id: UUID) -> list[Grant]:
    """Who else has access, by name."""
    columns = [proposal_access.c[shown.name] for shown in fields(Grant)]
    named = (proposal_access.c.proposal_id == proposal_id, proposal_access.c.access != "none")
    rows = await fetch(engine, select(*columns).where(*named).order_by(proposal_access.c.grantee))
    return [Grant(*cast("tuple[str, str, str, datetime]", tuple(row))) for row in rows]


async def grants_on(engine: AsyncEngine, proposals: Collection[UUID]) -> set[tuple[UUID, str]]:
    """Who was given access to which of these proposals, and has it still: (proposal, grantee)."""
    columns = (proposal_access.c.proposal_id, proposal_access.c.grantee)
    among = proposal_access.c.proposal_id == any_(literal(list(proposals), ARRAY(Uuid)))
    rows = await fetch(engine, select(*columns).where(among, proposal_access.c.access != "none"))
    return {(row[0], row[1]) for row in rows}


def _proposal(row: Row[Anything]) -> ProposalRow:
    return ProposalRow(*row)  # type: ignore[arg-type,call-arg]  # the columns are listed in the order of the fields
