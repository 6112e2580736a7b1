"""The second document's words for sessions, agents and tasks (requirements 002.2, O.3)."""

from collections.abc import Iterator, Mapping

from events.ids import derived_text
from events.task import DEPENDENCIES_MET
from gateway.live.frames import Frame
from gateway.live.rooms import Room
from gateway.live.subscription import Fields
from storage.sessions import LOST

Data = Mapping[str, object]

SESSION_STATUS = {
    "submitted": "pending",
    "waiting": "pending",
    "ready": "queued",
    "assigned": "queued",
    "running": "running",
    "paused": "paused",
    "succeeded": "completed",
    "partial": "partially_completed",
    "failed": "failed",
    "timed_out": "timeout",
    "blocked": "failed",
    "cancelled": "cancelled",
    "skipped": "cancelled",
}
TASK_STATUS = {
    "submitted": "pending",
    "waiting": "blocked",
    "ready": "ready",
    "assigned": "assigned",
    "running": "in_progress",
    "paused": "paused",
    "succeeded": "completed",
    "partial": "completed",
    "failed": "failed",
    "timed_out": "failed",
    "blocked": "failed",
    "cancelled": "cancelled",
    "skipped": "skipped",
}
_BEGUN = frozenset({"running", "paused"})


def translated(room: Room, frame: Frame) -> Iterator[Fields]:
    """The frames `{type, payload, timestamp}` that an event is to who follows this room."""
    whole = frame.data()
    data = whole["data"]
    if not isinstance(data, dict):
        return
    words = {"session": _session, "sessions": _session, "agent": _agent, "agents": _agent, "system": _system}
    for kind, payload in words.get(room.kind, _task)(frame, data):
        yield {"type": kind, "payload": payload, "timestamp": whole["time"]}


def session_status(status: str, *, begun: bool = False, reason: object = None) -> str:
    """A task's status as its session's: `stopped` if an agent had begun (O.3), `orphaned` if its agent was lost."""
    if begun and SESSION_STATUS[status] == "cancelled":
        return "stopped"
    if status == "failed" and reason in LOST:
        return "orphaned"
    return SESSION_STATUS[status]


def _session(frame: Frame, data: Data) -> Iterator[tuple[str, Fields]]:
    named: Fields = {"session_id": frame.ids.session}
    if frame.event == "session.opened":
        yield "session.created", {**named, "kind": data.get("kind"), "title": data.get("title"), "status": "pending"}
    elif frame.event == "task.submitted" and not _is_own(frame, _kind_asked(data)):
        yield "session.task_added", {**named, "task_id": data.get("task_id")}
    elif frame.event == "session.checkpointed":
        yield "session.checkpoint_created", {**named, **_only(data, "task_id", "run_id", "seq", "attempt", "note")}
    elif frame.event == "run.finished":
        yield (
            "session.metrics_updated",
            {**named, **_only(data, "task_id", "run_id", "outcome"), "metrics": data["usage"]},
        )
    elif frame.is_state and _is_own(frame, data.get("kind")):
        yield from _session_entered(named, frame.event.partition(".")[2], data)


def _is_own(frame: Frame, kind: object) -> bool:
    """Whether the session's status is the task's: a turn's, a refinement's, or of the goal that it was made with."""
    if kind != "goal":
        return kind != "subtask"
    return frame.ids.task is not None and frame.ids.session == derived_text(frame.ids.task, "session")


def _session_entered(named: Fields, status: str, data: Data) -> Iterator[tuple[str, Fields]]:
    came_from = str(data.get("from_status"))
    begun = bool(data.get("begun")) or came_from in _BEGUN
    old, new = session_status(came_from), session_status(status, begun=begun, reason=data.get("reason"))
    payload = {**named, **_only(data, "task_id", "agent_id", "reason")}
    if old != new:
        yield "session.status_changed", {**payload, "old_status": old, "new_status": new}
    if new in {"completed", "partially_completed"}:
        yield "session.completed", {**payload, "status": new, "result": data.get("result")}
    elif new in {"failed", "timeout", "orphaned"}:
        yield "session.failed", {**payload, "status": new, "error": data.get("error")}


def _agent(frame: Frame, data: Data) -> Iterator[tuple[str, Fields]]:
    named = _only(data, "agent_id")
    if frame.event in {"agent.registered", "agent.deregistered", "agent.heartbeat"}:
        yield frame.event, {name: value for name, value in data.items() if name != "token_hash"}
    elif frame.event == "agent.changed":
        yield "agent.load_changed", {**named, **_only(data, "load_level", "in_flight", "capacity", "available", "why")}
        yield "agent.performance_updated", {**named, "performance_tier": data.get("tier"), **_only(data, "breaker")}
    elif frame.event == "task.assigned":
        yield "agent.task_assigned", {**named, **_only(data, "task_id", "attempt")}
    elif frame.event == "run.finished":
        yield "agent.task_completed", {**named, **_only(data, "task_id", "attempt", "outcome")}


def _task(frame: Frame, data: Data) -> Iterator[tuple[str, Fields]]:
    named: Fields = {"task_id": frame.ids.task}
    if frame.event == "run.progress":
        yield "task.progress_updated", {**named, **_only(data, "percent", "note", "seq")}
    elif frame.event == "task.decomposed":
        yield "task.decomposed", {**named, **data}
    elif frame.is_state:
        old, new = TASK_STATUS[str(data.get("from_status"))], TASK_STATUS[frame.event.partition(".")[2]]
        if data.get("reason") == DEPENDENCIES_MET:
            yield "task.dependency_satisfied", named
        payload = {**named, **_only(data, "agent_id", "reason", "result", "error")}
        yield "task.status_changed", {**payload, "old_status": old, "new_status": new}


def _system(frame: Frame, data: Data) -> Iterator[tuple[str, Fields]]:
    yield ("system.health_changed" if frame.event == "system.health" else frame.event), dict(data)


def _kind_asked(data: Data) -> object:
    spec = data.get("spec")
    return spec.get("kind") if isinstance(spec, dict) else None


def _only(data: Data, *names: str) -> Fields:
    return {name: data.get(name) for name in names}
