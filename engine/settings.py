"""What the engine's process takes from the environment."""

from datetime import timedelta

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class EngineSettings(BaseSettings):
    """`SPEC_ENGINE_TOKEN` is needed: every route but health wants it as a bearer token.

    `SPEC_ENGINE_HOST`, `SPEC_ENGINE_PORT`: where to listen. `SPEC_ENGINE_PREFIX`: the path before the routes.
    `SPEC_ENGINE_RUNNING`: threads that work at once. `SPEC_ENGINE_KEEP_DAYS`: how long an ended thread that nobody
    cleaned up is kept. `SPEC_ENGINE_STORE_TIMEOUT`: seconds to wait for a connection. `DATABASE_URL`: where
    checkpoints are kept.
    """

    model_config = SettingsConfigDict(
        frozen=True, env_prefix="SPEC_ENGINE_", populate_by_name=True, hide_input_in_errors=True
    )

    database_url: SecretStr = Field(validation_alias="DATABASE_URL")
    token: SecretStr = Field(min_length=16)
    host: str = "127.0.0.1"
    port: int = Field(default=8085, ge=1, le=65535)
    prefix: str = "/spec-engine"
    running: int = Field(default=16, ge=1)
    waiting: int = Field(default=1_000, ge=0)
    keep_days: float = Field(default=7.0, gt=0)
    store_timeout: float = Field(default=5.0, gt=0)

    @field_validator("prefix")
    @classmethod
    def _rooted(cls, prefix: str) -> str:
        """`/name`, or empty for none."""
        bare = prefix.strip("/")
        return f"/{bare}" if bare else ""

    @property
    def keep(self) -> timedelta:
        """How long an ended thread is kept."""
        return timedelta(days=self.keep_days)
