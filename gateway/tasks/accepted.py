"""The answer to a task that is taken: 202, where it is kept, and where to go from here."""

from uuid import UUID

from starlette.responses import Response

from events.task import TaskSubmitted
from gateway.accept import Durability
from gateway.http.answers import json_answer

_MESSAGES: dict[Durability, str] = {
    "log+database": "The task is kept in the log and in the database.",
    "log": "The task is kept in the log; the database will follow.",
}


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
