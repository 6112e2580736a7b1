"""A session as JSON, and its statuses as the second document has them (requirements 002.2, 002.3, O.3)."""

from datetime import UTC, datetime

from gateway.compat import words
from gateway.tasks.views import View
from storage.checkpoints import CheckpointRow
from storage.sessions import SessionRow, Standing

MAX_DURATION = 3_600
MAX_ATTEMPTS = 3
"""Of a task, those that were granted by resuming it not counted (O.3)."""
_LEFT_BY_RETRY = ("failed", "timed_out")
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


def _retries(row: SessionRow) -> int:
    """Attempts after the first one that failure has cost; resuming costs none."""
    return max(0, (row.task_attempt or 0) - 1 - (row.task_granted or 0))


def _is_recoverable(row: SessionRow) -> bool:
    """Whether it ended badly and left a checkpoint to go on from (002.3); nothing leaves `stopped` (O.3)."""
    ended_badly = row.task_status in _LEFT_BY_RETRY and row.status == "open"
    return ended_badly and row.last_checkpoint is not None and _retries(row) + 1 < MAX_ATTEMPTS


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
        "retry_count": _retries(row),
        "last_checkpoint": row.last_checkpoint,
        "is_recoverable": _is_recoverable(row),
        "message_count": row.last_seq,
        "archived": row.status == "archived",
        "version": row.version,
        "created_at": row.created_at,
        "updated_at": max(row.updated_at, row.task_updated_at or row.updated_at),
        "started_at": row.started_at,
        "completed_at": row.task_finished_at,
        "cursor": f"{row.log_epoch}-{row.log_position}",
    }


def checkpoint_view(row: CheckpointRow) -> View:
    """A checkpoint without its data."""
    return {
        "id": row.seq,
        "sequence": row.seq,
        "task_id": row.task_id,
        "run_id": row.run_id,
        "attempt": row.attempt,
        "agent_id": row.agent_id,
        "note": row.note,
        "size": row.size,
        "created_at": row.created_at,
    }
