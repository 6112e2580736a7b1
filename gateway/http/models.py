"""The shape of a problem (RFC 9457), for the OpenAPI document; problems themselves are built in errors.py."""

from uuid import UUID

from pydantic import BaseModel


class Fault(BaseModel):
    """One thing that is wrong with a request, and where."""

    field: str
    message: str


class Problem(BaseModel):
    """RFC 9457 problem details; `code` is stable, `retryable` says whether the same request may work later."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    retryable: bool
    request_id: str
    trace_id: str
    errors: list[Fault] | None = None
    task_id: UUID | None = None
    idempotency_key: str | None = None
    error_code: str | None = None
    conversation_id: str | None = None
