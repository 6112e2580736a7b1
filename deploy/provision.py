"""What must exist before any role starts: the newest schema, and the streams with their consumers.

`python -m deploy.provision` runs to its end before the roles: under the supervisor, and in compose.yaml.
"""

import asyncio

import asyncpg
from pydantic import SecretStr

from events.errors import GanglionError, PermanentError
from events.process import configure_logs
from events.settings import settings_explained
from producers.connect import BusSettings, Connection
from producers.permissions import ADMIN
from producers.topology import apply
from storage.database import DatabaseSettings
from storage.schema import newest_schema, schema_of


class DatabaseUrlError(PermanentError):
    """No database can be reached by DATABASE_URL; one line says why, without what stands in it."""

    code = "wrong_database_url"


async def provision(nats_url: str, database_url: str) -> None:
    """Migrate the database, then make the server's streams match the table; harmless to repeat.

    Raises DatabaseUrlError, TopologyError.
    """
    if await _schema_of(database_url) != newest_schema():
        # Imported here: most starts have nothing to migrate, and Alembic takes as long as all the rest.
        from storage.migrate import upgrade  # noqa: PLC0415 - as above

        # In a thread: migrating runs an event loop of its own.
        await asyncio.to_thread(upgrade, database_url)
    async with Connection(BusSettings(nats_url=SecretStr(nats_url)), "provision") as client:
        await apply(client)


async def _schema_of(database_url: str) -> str | None:
    try:
        return await schema_of(database_url)
    except (OSError, asyncpg.PostgresError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DatabaseUrlError(f"DATABASE_URL: {reason}") from error
    except ValueError:  # asyncpg's own and Python's: they quote parts of the URL, and one of them may be the password
        raise DatabaseUrlError("DATABASE_URL: it is none of postgresql://user:password@host:port/name") from None


def main() -> None:
    """Provision the servers that the environment names; what is wrong with them ends it with one line."""
    configure_logs()
    with settings_explained():
        where = BusSettings().url_for(ADMIN), DatabaseSettings().dsn
    try:
        asyncio.run(provision(*where))
    except GanglionError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
