"""What must exist before any role starts: the newest schema, and the streams with their consumers.

`python -m deploy.provision` runs to its end before the roles: under the supervisor, and in compose.yaml.
"""

import asyncio

from pydantic import SecretStr

from events.process import settings_explained
from producers.connect import BusSettings, Connection
from producers.permissions import ADMIN
from producers.topology import apply
from storage.database import DatabaseSettings
from storage.schema import newest_schema, schema_of


async def provision(nats_url: str, database_url: str) -> None:
    """Migrate the database, then make the server's streams match the table; harmless to repeat."""
    if await schema_of(database_url) != newest_schema():
        # Imported here: most starts have nothing to migrate, and Alembic takes as long as all the rest.
        from storage.migrate import upgrade  # noqa: PLC0415 - as above

        # In a thread: migrating runs an event loop of its own.
        await asyncio.to_thread(upgrade, database_url)
    async with Connection(BusSettings(nats_url=SecretStr(nats_url)), "provision") as client:
        await apply(client)


def main() -> None:
    """Provision the servers that the environment names."""
    with settings_explained():
        where = BusSettings().url_for(ADMIN), DatabaseSettings().dsn
    asyncio.run(provision(*where))


if __name__ == "__main__":
    main()
