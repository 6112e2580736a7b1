"""The way to Postgres: settings, and the engine that readers share."""

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine


class DatabaseSettings(BaseSettings):
    """Where Postgres is: `DATABASE_URL=postgresql://user:password@host:port/name`."""

    model_config = SettingsConfigDict(frozen=True, env_prefix="")

    database_url: SecretStr
    database_pool_size: int = 8

    @property
    def dsn(self) -> str:
        """The URL as asyncpg takes it."""
        return self.database_url.get_secret_value()


def create_engine(settings: DatabaseSettings) -> AsyncEngine:
    """An engine over asyncpg. Statements give up after 5 s, connecting after 2 s; the caller disposes of it."""
    url = make_url(settings.dsn).set(drivername="postgresql+asyncpg")
    return create_async_engine(
        url,
        pool_size=settings.database_pool_size,
        max_overflow=0,
        pool_timeout=2.0,
        pool_pre_ping=False,
        hide_parameters=True,
        connect_args={
            "timeout": 2.0,
            "command_timeout": 5.0,
            "server_settings": {"application_name": "ganglion", "jit": "off"},
        },
    )
