"""The shapes of what health and readiness answer, for the OpenAPI document."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel


class Health(BaseModel):
    """The process is alive."""

    status: Literal["healthy"]
    timestamp: datetime
    version: str


class Ready(BaseModel):
    """Whether work can be taken, by dependency."""

    ready: bool
    checks: dict[str, bool]
    timestamp: datetime


class ReadyError(BaseModel):
    """What is missing, where /submit's document has it."""

    ready: Literal[False]
    checks: dict[str, bool]


class NotReady(Ready):
    """No work can be taken: as 200 has it, and once more as `error`."""

    error: ReadyError


class Live(BaseModel):
    """The event loop turns."""

    status: Literal["ok"]


class Check(BaseModel):
    """One dependency: milliseconds to answer, or why not; the keeper's lag in seconds; what to do about it."""

    ok: bool
    level: Literal["ok", "warn", "fail"] | None = None
    advice: str | None = None
    ms: float | None = None
    detail: str | None = None
    lag_seconds: float | None = None


class Readiness(BaseModel):
    """Whether work can be taken; `checks` only with ?verbose."""

    status: Literal["ready", "degraded", "not_ready"]
    checks: dict[str, Check] | None = None


class Info(BaseModel):
    """What runs here."""

    name: str
    version: str
    openapi: str
    websocket: str
