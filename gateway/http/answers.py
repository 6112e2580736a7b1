"""JSON answers, encoded once and not validated again."""

from uuid import UUID

from starlette.responses import Response

from events.task import TaskSubmitted
from gateway.accept import Durability
from gateway.encoding import to_json

_MESSAGES: dict[Durability, str] = {
    "log+database": "The task is kept in the log and in the database.",
    "log": "The task is kept in the log; the database will follow.",
}


def json_answer(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Any JSON value; UUIDs and datetimes are understood."""
    return Response(to_json(value), status, headers, "application/json")


def accepted_answer(
    task_id: UUID, status: str, durability: Durability, home: str, *, replayed: bool = False
) -> Response:
    """202: the task is taken. `home` is the path of its collection."""
    here = f"{home}/{task_id}"
    canonical = f"/api/v1/tasks/{task_id}"
    headers = {"Location": here}
    if replayed:
        headers["Idempotency-Replayed"] = "true"
    body = {
        "task_id": task_id,
        "status": status,
        "durability": durability,
        "message": _MESSAGES[durability],
        "links": {
            "self": here,
            "events": f"{canonical}/events",
            "stream": f"{canonical}/stream",
            "room": f"task:{task_id}",
        },
    }
    return json_answer(body, 202, headers)


def fingerprint_of(submitted: object) -> str | None:
    """The body's fingerprint in a task.submitted event's payload."""
    return submitted.body_sha256 if isinstance(submitted, TaskSubmitted) else None
