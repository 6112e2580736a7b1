"""A session as JSON, and its statuses as the second document has them (requirements 002.2, 002.3, O.3)."""

from datetime import UTC, datetime

from gateway.compat import words
from gateway.tasks.views import View
from storage.sessions import SessionRow, Standing

MAX_DURATION = 3_600
_DEGRADED = 0.5

STANDINGS: dict[str, Standing] = {
    "pending": Standing(frozenset({"submitted", "waiting"})),
    "queued": Standing(frozenset({"ready", "assigned"})),
    "running": Standing(frozenset({"running"})),
    "paused": Standing(frozenset({"paused"})),
    "completed": Standing(frozenset({"succeeded"})),
    "partially_completed": Standing(frozenset({"partial"})),
    "failed": Standing(frozenset({"failed", "blocked"}), lost=False),
    "orphaned": Standing(frozenset({"failed"}), lost=True),
    "timeout": Standing(frozenset({"timed_out"})),
    "stopped": Standing(frozenset({"cancelled", "skipped"}), begun=True),
    "cancelled": Standing(frozenset({"cancelled", "skipped"}), begun=False),
    "degraded": Standing(frozenset()),
}
"""What each of the document's twelve words asks for; `degraded` is a flag here and never a status."""


def session_status(row: SessionRow) -> str:
    """The session's status: its task's in other words."""
    status, begun = row.task_status or "submitted", row.started_at is not None
    return words.session_status(status, begun=begun, reason=row.task_reason)


def health_score(row: SessionRow, now: datetime) -> float:
    """1 when it is completed, 0 when it failed; while it runs less, the nearer it is to the end of its time."""
    status = session_status(row)
    if status in ("completed", "failed", "orphaned", "timeout"):
        return 1.0 if status == "completed" else 0.0
    if status != "running" or row.started_at is None:
        return 0.8
    spent = (now - row.started_at).total_seconds() / (row.max_duration_seconds or MAX_DURATION)
    if spent > 0.9:
        return 0.3
    return 0.7 if spent > 0.7 else 0.9


def session_payload(row: SessionRow, now: datetime | None = None) -> View:
    """The whole session."""
    health = health_score(row, now or datetime.now(UTC))
    return {
        "id": row.id,
        "kind": row.kind,
        "title": row.title,
        "status": session_status(row),
        "session_type": row.session_type,
        "priority": row.task_priority,
        "health_score": health,
        "degraded": health < _DEGRADED,
        "initial_prompt": (row.task_spec or {}).get("prompt") if row.kind == "work" else None,
        "agent_config": row.agent_config,
        "max_duration_seconds": row.max_duration_seconds,
        "parent_session_id": row.parent_id,
        "created_by": row.owner,
        "tags": row.tags,
        "metadata": row.metadata,
        "task_id": row.task_id,
        "waiting_for": row.task_reason if row.task_status == "waiting" else None,
        "result": row.task_result,
        "error": row.task_error,
        "message_count": row.last_seq,
        "archived": row.status == "archived",
        "version": row.version,
        "created_at": row.created_at,
        "updated_at": max(row.updated_at, row.task_updated_at or row.updated_at),
        "started_at": row.started_at,
        "completed_at": row.task_finished_at,
        "cursor": f"{row.log_epoch}-{row.log_position}",
    }
