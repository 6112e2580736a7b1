"""What the local stack takes from the environment."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from deploy.local.nats import LogSync


class StackSettings(BaseSettings):
    """Every setting is optional: without any, everything is started below `.ganglion/`.

    `NATS_URL`, `DATABASE_URL`, `REDIS_URL`: a server to use instead of starting one. `GANGLION_HOME`: the state
    folder. `GANGLION_PORT`: the gateway's port, else 8080 or the next free one. `GANGLION_LOG_SYNC`: `100ms` or
    `always`. `GANGLION_JWT_SECRET`: signs tokens, else one is generated and kept.
    """

    model_config = SettingsConfigDict(frozen=True, env_prefix="GANGLION_", populate_by_name=True)

    nats_url: SecretStr | None = Field(default=None, validation_alias="NATS_URL")
    database_url: SecretStr | None = Field(default=None, validation_alias="DATABASE_URL")
    redis_url: SecretStr | None = Field(default=None, validation_alias="REDIS_URL")
    home: Path = Path(".ganglion")
    port: int | None = Field(default=None, ge=1, le=65535)
    log_sync: LogSync = "100ms"
    jwt_secret: SecretStr | None = Field(default=None, min_length=32)
