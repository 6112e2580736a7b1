"""Bodies that may be left out, and the headers that make a repeat harmless and an answer wait."""

from typing import Annotated, TypeVar

from fastapi import Header
from pydantic import BaseModel
from starlette.requests import Request

from gateway.http.bodies import read_body, read_json

IdempotencyKey = Annotated[
    str | None,
    Header(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$", description="A repeat gets the first answer"),
]
Prefer = Annotated[
    str | None, Header(description="`wait=N`: answer 200 if it has come within N (at most 60) seconds (RFC 7240)")
]
B = TypeVar("B", bound=BaseModel)


async def read_optional(request: Request, model: type[B]) -> tuple[B, bytes]:
    """The body, or the model's defaults if there is none. Raises as `read_json` and `read_body` do."""
    if request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers:
        return model(), b""
    _, body = await read_json(request)
    return read_body(model, body), body
