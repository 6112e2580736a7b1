"""Bring a database to the newest schema: `upgrade(url)`, or `python -m storage.migrate`."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import make_url

from storage.database import DatabaseSettings


def config_for(database_url: str) -> Config:
    """The Alembic configuration for one database; there is no alembic.ini."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["url"] = make_url(database_url).set(drivername="postgresql+asyncpg")
    return config


def upgrade(database_url: str) -> None:
    """Apply every migration that is missing; safe to repeat and to run from two places at once."""
    command.upgrade(config_for(database_url), "head")


if __name__ == "__main__":
    upgrade(DatabaseSettings().dsn)
