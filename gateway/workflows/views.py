"""Workflows and proposals as JSON, in the words of the document that asked for them (requirements O.3)."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

from events.files import digest_of
from events.ids import derived_id
from gateway.tasks.views import View, encode_place
from gateway.workflows.diffs import unified_diff
from storage.proposals import ENDED_BADLY, WITHOUT_FILES, Grant, ProposalRow
from storage.tasks import Place
from storage.workflows import FileEntry, VersionRow, WorkflowRow

_STATUSES = {
    "pending": "completed",
    "approved": "resolved",
    "rejected": "resolved",
    "superseded": "superseded",
    "expired": "expired",
}
_WHY_NO_FILES = {
    "no_files": "The engine ended without any file.",
    "task_cancelled": "The refinement was cancelled.",
}
_SENT = {
    "goal": "instructions",
    "context/data/context_file_path": "context_file_path",
    "context/data/context_selection": "context_selection",
}
Texts = Mapping[str, str]


def digests(files: Mapping[str, FileEntry]) -> dict[str, str]:
    """The digest of each file, by path."""
    return {path: str(file["sha256"]) for path, file in files.items()}


def contents(files: Mapping[str, FileEntry], texts: Texts) -> dict[str, str]:
    """The text of each file, by path."""
    return {path: texts[sha256] for path, sha256 in digests(files).items()}


def files_view(files: Mapping[str, FileEntry], texts: Texts) -> View:
    """Files with their texts, by path."""
    return {
        path: {
            "content": texts[str(file["sha256"])],
            "media_type": file["media_type"],
            "size": file["size"],
            "sha256": file["sha256"],
        }
        for path, file in sorted(files.items())
    }


def is_locked(row: WorkflowRow) -> bool:
    """Whether somebody holds its lock now."""
    return row.locked_until is not None and datetime.now(UTC) < row.locked_until


def workflow_view(row: WorkflowRow) -> View:
    """GET /api/workflows/{id}."""
    locked = is_locked(row)
    return {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "created_by": row.owner,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "version": row.version,
        "published_version": row.published,
        "production_version": row.deployed,
        "deployed_by": row.deployed_by,
        "deployed_at": row.deployed_at,
        "is_locked": locked,
        "locked_by": row.locked_by if locked else None,
        "locked_at": row.locked_at if locked else None,
        "locked_until": row.locked_until if locked else None,
        "draft": {
            "version": row.draft_version,
            "status": _draft_status(row),
            "digest": digest_of(digests(row.draft_files)),
            "paths": sorted(row.draft_files),
        },
    }


def draft_view(row: WorkflowRow, texts: Texts) -> View:
    """GET /api/workflows/{id}/draft."""
    return {
        "workflow_id": row.id,
        "version": row.draft_version,
        "status": _draft_status(row),
        "based_on_version": row.published,
        "digest": digest_of(digests(row.draft_files)),
        "updated_at": row.updated_at,
        "files": files_view(row.draft_files, texts),
    }


def _draft_status(row: WorkflowRow) -> str:
    return "unchanged" if digests(row.draft_files) == digests(row.published_files) else "in_progress"


def version_view(row: VersionRow, workflow: WorkflowRow) -> View:
    """A published version without its texts."""
    return {
        "workflow_id": workflow.id,
        "version_number": row.number,
        "status": "published" if row.number == workflow.published else "deprecated",
        "digest": row.digest,
        "paths": sorted(row.files),
        "published_by": row.published_by,
        "published_at": row.published_at,
    }


def proposal_status(row: ProposalRow) -> str:
    """processing, completed, failed, resolved, superseded or expired."""
    if _closed_without_files(row) is not None:
        return "failed"
    if row.status in _STATUSES:
        return _STATUSES[row.status]
    return "failed" if row.task_status in ENDED_BADLY else "processing"


def proposal_summary(row: ProposalRow) -> View:
    """A proposal in a list."""
    shown = row.status in _STATUSES
    return {
        "id": row.id,
        "workflow_id": row.workflow_id,
        "thread_id": row.task_id,
        "status": proposal_status(row),
        "resolution": row.status if row.status in ("approved", "rejected") else None,
        **_request(row),
        "summary": row.summary if shown else None,
        "digest": row.digest if shown else None,
        "base_version": row.base_version,
        "conflicts": list(row.conflicts or ()),
        "error": _error(row),
        "created_by": row.owner,
        "created_at": row.created_at,
        "completed_at": row.ready_at,
        "expires_at": row.expires_at if row.status == "pending" else None,
        "resolved_by": row.decided_by,
        "resolved_at": row.decided_at,
        "reason": row.reason,
    }


def proposal_view(row: ProposalRow, texts: Texts) -> View:
    """GET /api/proposals/{id}."""
    files = row.files if has_files(row) else None
    return {
        **proposal_summary(row),
        "generated_files": None if files is None else files_view(files, texts),
        "diff": None if files is None else diff_of(row, texts),
    }


def has_files(row: ProposalRow) -> bool:
    """Whether there is a whole set of files to look at."""
    return row.files is not None and row.digest is not None and row.status in _STATUSES


def diff_of(row: ProposalRow, texts: Texts) -> str:
    """What the proposal changes in the draft that it was made for."""
    return unified_diff(contents(row.base_files, texts), contents(row.files or {}, texts))


def processing_view(task_id: UUID, workflow_id: UUID, owner: str, asked: Mapping[str, object], at: object) -> View:
    """A proposal whose row is not in the database yet."""
    return {
        **dict.fromkeys(_EMPTY),
        "id": derived_id(task_id, "proposal"),
        "workflow_id": workflow_id,
        "thread_id": task_id,
        "status": "processing",
        **asked,
        "conflicts": [],
        "created_by": owner,
        "created_at": at,
    }


_EMPTY = (
    *("resolution", "summary", "digest", "base_version", "error", "completed_at", "expires_at", "resolved_by"),
    *("resolved_at", "reason", "generated_files", "diff"),
)


def grant_view(proposal_id: UUID, grant: Grant) -> View:
    """Somebody else's access."""
    return {
        "proposal_id": proposal_id,
        "user_id": grant.grantee,
        "access_type": grant.access,
        "granted_by": grant.granted_by,
        "granted_at": grant.granted_at,
    }


def page(items: Sequence[View], rows: Sequence[WorkflowRow] | Sequence[ProposalRow], limit: int) -> View:
    """A page; there is one more row than `limit` if another page follows."""
    last = rows[limit - 1] if len(rows) > limit else None
    following = encode_place(Place(last.created_at, last.id)) if last is not None else None
    return {"items": list(items[:limit]), "next_cursor": following}


def _request(row: ProposalRow) -> View:
    context = row.spec.get("context")
    data = context.get("data") if isinstance(context, dict) else None
    asked = data if isinstance(data, dict) else {}
    return {
        "user_prompt": row.spec.get("prompt"),
        "context_file_path": asked.get("context_file_path"),
        "context_selection": asked.get("context_selection"),
    }


def _closed_without_files(row: ProposalRow) -> str | None:
    """Why there is nothing to decide; the reason of somebody who decided may be the same word."""
    return row.reason if row.status == "expired" and row.reason in WITHOUT_FILES else None


def _error(row: ProposalRow) -> View | None:
    if (why := _closed_without_files(row)) is not None:
        return {"code": why, "message": _WHY_NO_FILES[why]}
    if proposal_status(row) != "failed":
        return None
    error = row.task_error or {}
    code = error.get("code") or row.task_reason or row.task_status
    message = str(error.get("message") or code)
    if row.task_status == "blocked":  # what those who screened it call a field was sent under another name
        for screened, sent in _SENT.items():
            message = message.replace(f"in field '{screened}'", f"in field '{sent}'")
    return {"code": code, "message": message}
