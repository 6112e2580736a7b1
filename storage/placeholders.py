"""The placeholders of a session: their names, and what they stand for, sealed."""

from collections.abc import Mapping
from typing import TypeAlias

import asyncpg
import orjson
from sqlalchemy import select

from events.task import Sealed
from storage.faults import store_faults
from storage.models import placeholder
from storage.reading import Database, fetch

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
_NAMES = "SELECT names::text FROM placeholder WHERE id = $1"


async def sealed_names(engine: Database, tenant: str, session: str) -> dict[str, Sealed]:
    """What each placeholder of the session stands for, sealed. Raises StoreUnavailableError."""
    rows = await fetch(engine, select(placeholder.c.names).where(placeholder.c.id == _id(tenant, session)))
    return {name: Sealed.model_validate(value) for row in rows for name, value in row.names.items()}


async def names_of_session(engine: Database, tenant: str, session: str) -> dict[str, str]:
    """The names alone, by the tags of what they stand for. Raises StoreUnavailableError."""
    return {value.tag: name for name, value in (await sealed_names(engine, tenant, session)).items()}


async def names_by_tag(pool: Pool, tenant: str, session: str) -> dict[str, str]:
    """The same through a driver's own pool, for consumers. Raises StoreUnavailableError."""
    with store_faults():
        found = await pool.fetchval(_NAMES, _id(tenant, session))
    names: Mapping[str, Mapping[str, str]] = orjson.loads(found) if found else {}
    return {value["tag"]: name for name, value in names.items()}


def _id(tenant: str, session: str) -> str:
    return f"{tenant}/{session}"
