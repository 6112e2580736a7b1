"""`runtime.json`: where the running stack is, for commands and tests on the same machine."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deploy.local.passwords import write_private

_NAME = "runtime.json"


class Runtime(BaseModel):
    """What runs where. The file is readable by its owner only: URLs carry passwords."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    gateway_url: str
    token: str
    nats_url: str
    database_url: str
    redis_url: str
    metrics_url: str | None = Field(default=None, description="what the consumers count, for Prometheus")
    supervisor: int
    pids: dict[str, int | None] = Field(description="process id by role; null while it is being restarted")
    restarts: dict[str, int] = Field(default_factory=dict)
    last_error: dict[str, str] = Field(default_factory=dict)


def write_runtime(home: Path, runtime: Runtime) -> None:
    """Replace the file atomically, mode 0600."""
    write_private(home / _NAME, runtime.model_dump_json(indent=2) + "\n")


def read_runtime(home: Path) -> Runtime | None:
    """What the stack on this state folder last said of itself; None when none runs there."""
    try:
        return Runtime.model_validate_json((home / _NAME).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def remove_runtime(home: Path) -> None:
    """Say that nothing runs any more; harmless when nothing did."""
    (home / _NAME).unlink(missing_ok=True)
