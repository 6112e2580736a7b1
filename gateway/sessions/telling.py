"""How routes of sessions read what was said to them, and what they answer."""

from typing import TypeVar

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from gateway.commands import KEPT
from gateway.http.answers import json_answer
from gateway.http.bodies import read_body, read_json
from gateway.sessions.acting import Done
from gateway.sessions.paths import HOME
from gateway.sessions.view import session_payload

M = TypeVar("M", bound=BaseModel)


async def said_or_nothing(request: Request, model: type[M]) -> tuple[M, bytes]:
    """The body of an action, or what none stands for."""
    if request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers:
        return model(), b""
    _, body = await read_json(request)
    return read_body(model, body), body


def done_answer(session_id: str, done: Done) -> Response:
    """The session after a command."""
    if done.row is None:
        return kept_answer(session_id, done)
    return json_answer(session_payload(done.row), 200, replayed_headers(done.replayed))


def kept_answer(session_id: str, done: Done) -> Response:
    """202: the log has it, the database will follow."""
    body = {"id": session_id, "message": KEPT}
    return json_answer(body, 202, {"Location": f"{HOME}/{session_id}", **replayed_headers(done.replayed)})


def replayed_headers(replayed: bool) -> dict[str, str]:  # noqa: FBT001 - what it says
    """What the answer says of a repeat."""
    return {"Idempotency-Replayed": "true"} if replayed else {}
