"""Reading a body: bounded, JSON only, and without what the log or the database could not keep."""

import asyncio
import json
from typing import TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from gateway.errors import (
    BadJsonError,
    BodyTooLargeError,
    Fault,
    IncompleteBodyError,
    InvalidBodyError,
    RequestTimeoutError,
    WrongMediaTypeError,
    faults_of,
)

B = TypeVar("B", bound=BaseModel)

MAX_BODY = 1024 * 1024
MAX_DEPTH = 32
MAX_NODES = 10_000

BODY_WITHIN = 30.0
"""Seconds that a body has to come to its end."""


async def read_optional(request: Request, model: type[B]) -> tuple[B, bytes]:
    """The body, or the model's defaults if there is none. Raises as `read_json` and `read_body` do."""
    if request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers:
        return model(), b""
    _, body = await read_json(request)
    return read_body(model, body), body


async def read_json(request: Request) -> tuple[object, bytes]:
    """The parsed body and its bytes.

    Raises WrongMediaTypeError, what `read_bytes` raises, BadJsonError, and InvalidBodyError for texts with NUL or lone
    surrogates, more than 32 levels or more than 10,000 values.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise WrongMediaTypeError
    body = await read_bytes(request)
    return parse_json(body), body


def read_body(model: type[B], body: bytes) -> B:
    """Validate a JSON body. Raises InvalidBodyError, which names fields and never repeats values."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise InvalidBodyError(faults_of(error, body)) from error


def parse_json(body: bytes) -> object:
    """Bytes as a JSON value that can be kept; raises as `read_json` does."""
    value = _parse(body)
    _refuse_unstorable(value)
    return value


async def read_bytes(request: Request) -> bytes:
    """The body as it came.

    Raises BodyTooLargeError, RequestTimeoutError for a body without an end, and IncompleteBodyError to a client that
    has hung up.
    """
    declared = request.headers.get("content-length")
    if declared is not None and declared.isdecimal() and int(declared) > MAX_BODY:
        raise BodyTooLargeError
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_WITHIN):
            async for chunk in request.stream():
                size += len(chunk)
                if size > MAX_BODY:
                    raise BodyTooLargeError
                chunks.append(chunk)
    except ClientDisconnect:
        raise IncompleteBodyError from None
    except TimeoutError:
        raise RequestTimeoutError from None
    return b"".join(chunks)


def _parse(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        if _has_lone_surrogate(body):
            raise InvalidBodyError([Fault(field="body", message="a text holds a lone surrogate")]) from None
        raise BadJsonError from None


def _has_lone_surrogate(body: bytes) -> bool:
    """Whether the only thing wrong with the JSON is an escape that is not Unicode: a fault of its content."""
    if b"\\ud" not in body.lower():
        return False
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse_unstorable(value: object) -> None:
    level = [value]
    nodes = 0
    for _ in range(MAX_DEPTH):
        below: list[object] = []
        for node in level:
            if isinstance(node, str):
                if "\x00" in node:
                    raise InvalidBodyError([Fault(field="body", message="a text holds a NUL character")])
            elif isinstance(node, dict):
                below.extend(node)
                below.extend(node.values())
            elif isinstance(node, list):
                below.extend(node)
        nodes += len(below)
        if nodes > MAX_NODES:
            raise InvalidBodyError([Fault(field="body", message=f"more than {MAX_NODES} values")])
        if not below:
            return
        level = below
    raise InvalidBodyError([Fault(field="body", message=f"nested deeper than {MAX_DEPTH} levels")])
