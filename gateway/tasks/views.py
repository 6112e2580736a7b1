"""Tasks as JSON: the canonical shape, and the words of the document that asked for /submit (requirements O.3)."""

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from pydantic import JsonValue

from events.base import JsonObject
from events.cursor import InvalidCursorError
from events.estimate import Estimate
from events.task import DEPENDENCIES, Status
from gateway.tasks.lookup import Recent
from gateway.tasks.plans import estimate_view
from storage.families import TaskNode
from storage.log import LogEntry
from storage.tasks import Place, TaskRow

View = dict[str, object]

_NO_PLACE = "A list's cursor is the `next_cursor` of the page before."

_FACADE: dict[str, str] = {
    "submitted": "pending",
    "waiting": "pending",
    "ready": "pending",
    "assigned": "pending",
    "running": "processing",
    "paused": "processing",
    "succeeded": "completed",
    "partial": "completed",
    "failed": "failed",
    "timed_out": "failed",
    "blocked": "failed",
    "cancelled": "cancelled",
    "skipped": "cancelled",
}


def facade_status(status: Status | str) -> str:
    """pending, processing, completed, failed or cancelled."""
    return _FACADE[status]


def task_view(task: TaskRow | Recent) -> View:
    """The canonical shape of GET /api/v1/tasks/{id}."""
    if isinstance(task, Recent):
        return {**_EMPTY, **_common(task), "prompt": task.prompt, "status": "submitted", "updated_at": task.created_at}
    return {
        **_common(task),
        "prompt": task.spec.get("prompt"),
        "session_id": task.session_id,
        "status": task.status,
        "reason": task.reason,
        "detail": task.detail,
        "waiting_for": _waiting_for(task),
        "parent_id": task.parent_id,
        "estimate": _estimate(task.spec.get("estimate")),
        "children": _children(task.spec),
        "depends_on": [_FS | one for one in task.depends_on or ()],
        "effects_done": task.effects_done,
        "agent_id": task.agent_id,
        "run_id": task.run_id,
        "attempt": task.attempt,
        "result": task.result,
        "error": task.error,
        "verdict": _verdict(task),
        "deadline_at": task.deadline_at,
        "updated_at": task.updated_at,
        "finished_at": task.finished_at,
        "processing_time_ms": _milliseconds(task),
        "version": task.version,
        "cursor": str(task.at),
    }


def facade_view(task: TaskRow | Recent) -> View:
    """The shape of GET /tasks/{id}."""
    if isinstance(task, Recent):
        shown: View = {"status": "pending", "goal": task.prompt, "result": None, "error": None}
        return {
            "task_id": task.id,
            **shown,
            "created_at": task.created_at,
            "updated_at": task.created_at,
            "processing_time_ms": None,
        }
    return {
        "task_id": task.id,
        "status": facade_status(task.status),
        "goal": task.spec.get("prompt"),
        "result": task.result,
        "error": _facade_error(task),
        "created_at": task.created_at,
        "updated_at": task.updated_at,
        "processing_time_ms": _milliseconds(task),
    }


def page_view(tasks: Sequence[TaskRow], limit: int) -> View:
    """A page of tasks; `tasks` holds one more than `limit` if there is a next page."""
    shown = tasks[:limit]
    following = encode_place(Place(shown[-1].created_at, shown[-1].id)) if len(tasks) > limit else None
    return {"items": [task_view(task) for task in shown], "next_cursor": following}


def node_view(node: TaskNode) -> View:
    """A task as trees and graphs show it."""
    return {
        "task_id": node.id,
        "parent_id": node.parent_id,
        "kind": node.kind,
        "priority": node.priority,
        "title": node.title,
        "status": node.status,
        "reason": node.reason,
        "waiting_for": _waiting_for(node),
        "agent_id": node.agent_id,
        "attempt": node.attempt,
        "estimate": _estimate(node.estimate),
        "depends_on": [_FS | one for one in node.depends_on or ()],
        "created_at": node.created_at,
        "updated_at": node.updated_at,
        "finished_at": node.finished_at,
    }


def tree_view(root: UUID, nodes: Sequence[TaskNode]) -> View:
    """The task and all that descends from it, from their nodes in any order."""
    below: dict[UUID, list[View]] = {node.id: [] for node in nodes}
    made = {node.id: {**node_view(node), "subtasks": below[node.id]} for node in nodes}
    for node in nodes:
        if node.id != root and node.parent_id in below:
            below[node.parent_id].append(made[node.id])
    return made[root]


def encode_place(place: Place) -> str:
    """The keyset cursor of a list: opaque to clients."""
    text = json.dumps([place.created_at.isoformat(), str(place.id)])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_place(text: str) -> Place:
    """Read what `encode_place` wrote. Raises InvalidCursorError."""
    try:
        padded = text + "=" * (-len(text) % 4)
        created_at, task_id = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        moment, identity = datetime.fromisoformat(created_at), UUID(task_id)
        if moment.tzinfo is None:
            raise InvalidCursorError(_NO_PLACE)
        return Place(moment.astimezone(UTC), identity)  # as the database has it, if it can
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError, binascii.Error):
        raise InvalidCursorError(_NO_PLACE) from None


def is_shown(entry: LogEntry) -> bool:
    """Whether subscribers and readers of a history see the event: poison is kept as bytes only."""
    return not entry.outcome.startswith("poison")


_NEXT = {"submitted": "verdict", "assigned": "start of the agent", "paused": "resume"}
_FS: JsonObject = {"type": "finish_to_start"}
"""What a dependency is if it does not say so: older ones do not."""
_UNROUTED = {"no_capability", "all_busy", "all_open"}

_EMPTY: View = dict.fromkeys(
    (
        *("session_id", "reason", "detail", "agent_id", "run_id", "result", "error", "verdict"),
        *("parent_id", "effects_done", "estimate", "children"),
        *("deadline_at", "finished_at", "processing_time_ms", "cursor"),
    )
) | {"attempt": 0, "version": 0, "waiting_for": "verdict", "depends_on": []}


def _common(task: TaskRow | Recent) -> View:
    return {"task_id": task.id, "kind": task.kind, "priority": task.priority, "created_at": task.created_at}


def _estimate(found: JsonValue) -> View | None:
    return None if found is None else estimate_view(Estimate.model_validate(found))


def _children(spec: JsonObject) -> int | None:
    steps = spec.get("steps")
    return len(steps) if isinstance(steps, list) else None


def _verdict(task: TaskRow) -> View | None:
    if task.decision is None:
        return None
    return {"decision": task.decision, "findings": task.findings or [], "reason": task.verdict_reason}


def _waiting_for(task: TaskRow | TaskNode) -> str | None:
    """What must happen before the task moves on, and where that is known, which one."""
    if task.status == "waiting" or (task.status == "running" and task.reason == DEPENDENCIES):
        return f"{task.reason}: {task.detail}" if task.detail else task.reason
    if task.status == "ready":
        return f"agent: {task.reason}" if task.reason in _UNROUTED else "agent"
    if task.status == "assigned" and task.reason:
        return f"agent: {task.reason}"
    return _NEXT.get(task.status)


def _facade_error(task: TaskRow) -> str | None:
    """One line of text, as that document has it."""
    if task.error is not None:
        return str(task.error.get("message") or task.error.get("code"))
    return task.detail or task.reason if facade_status(task.status) == "failed" else None


def _milliseconds(task: TaskRow) -> int | None:
    if task.finished_at is None:
        return None
    return max(0, round((task.finished_at - task.created_at).total_seconds() * 1000))
