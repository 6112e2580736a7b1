"""What the local stack takes from the environment."""

from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from deploy.local.errors import StackError
from deploy.local.nats import LogSync
from deploy.local.ports import LOOPBACK
from events.process import LogLevel


class StackSettings(BaseSettings):
    """Every setting is optional: without any, everything is started below `.ganglion/`.

    `NATS_URL`, `DATABASE_URL`, `REDIS_URL`: a server to use instead of starting one. `GANGLION_HOME`: the state
    folder. `GANGLION_PORT`: the gateway's port, else 8080 or the next free one. `GANGLION_METRICS_PORT`: that of the
    consumers' metrics, else 9464 or the next free one. `GANGLION_HOST`: the address for both, else 127.0.0.1; the
    servers stay on that. `GANGLION_LOG_SYNC`: `100ms` or `always`. `GANGLION_LOG_LEVEL`: how much
    each role logs.
    `GANGLION_NATS_NODES`: 3 or 5 make a cluster that keeps every stream on each of them. `GANGLION_JWT_SECRET`: signs
    tokens, else one is generated and kept. `SPEC_ENGINE_URL`, with `SPEC_ENGINE_PREFIX` and `SPEC_ENGINE_TOKEN`: a
    spec engine to use instead of starting ours.
    """

    model_config = SettingsConfigDict(
        frozen=True, env_prefix="GANGLION_", populate_by_name=True, hide_input_in_errors=True
    )

    nats_url: SecretStr | None = Field(default=None, validation_alias="NATS_URL")
    database_url: SecretStr | None = Field(default=None, validation_alias="DATABASE_URL")
    redis_url: SecretStr | None = Field(default=None, validation_alias="REDIS_URL")
    spec_engine_url: str | None = Field(default=None, validation_alias="SPEC_ENGINE_URL")
    spec_engine_prefix: str = Field(default="/spec-engine", validation_alias="SPEC_ENGINE_PREFIX")
    spec_engine_token: SecretStr | None = Field(default=None, validation_alias="SPEC_ENGINE_TOKEN")
    home: Path = Path(".ganglion")
    host: str = LOOPBACK
    port: int | None = Field(default=None, ge=1, le=65535)
    metrics_port: int | None = Field(default=None, ge=1, le=65535)
    log_sync: LogSync = "100ms"
    log_level: LogLevel = "info"
    nats_nodes: int = Field(default=1, ge=1, le=5)
    jwt_secret: SecretStr | None = Field(default=None, min_length=32)
    seal_keys: SecretStr | None = Field(default=None, min_length=40)

    @field_validator("nats_nodes")
    @classmethod
    def _odd(cls, nodes: int) -> int:
        """Two or four stand still as soon as one or two are away, just as one or three do."""
        if nodes % 2 == 0:
            raise ValueError("1, 3 or 5")
        return nodes

    @classmethod
    def from_environment(cls) -> Self:
        """Read the environment; raises StackError that names the variable and never shows its value."""
        try:
            return cls()
        except ValidationError as error:
            faults = error.errors(include_url=False, include_input=False)
            lines = [f"{_variable(str(fault['loc'][0]))}: {fault['msg']}" for fault in faults]
            raise StackError("\n".join(lines)) from None


def _variable(field: str) -> str:
    return field if field.isupper() else f"GANGLION_{field.upper()}"
