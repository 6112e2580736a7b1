"""The way to Postgres."""

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class DatabaseSettings(BaseSettings):
    """Where Postgres is: `DATABASE_URL=postgresql://user:password@host:port/name`."""

    model_config = SettingsConfigDict(frozen=True, env_prefix="")

    database_url: SecretStr
    database_pool_size: int = 8

    @property
    def dsn(self) -> str:
        """The URL as asyncpg takes it."""
        return self.database_url.get_secret_value()
