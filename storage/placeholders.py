"""The placeholders of a session: their names, and what they stand for, sealed."""

from collections.abc import Mapping
from typing import TypeAlias

import asyncpg
import orjson
from sqlalchemy import ColumnElement, select

from events.task import Sealed
from storage.faults import store_faults
from storage.models import placeholder
from storage.reading import Database, fetch

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
_NAMES = "SELECT names::text FROM placeholder WHERE id = $1"


async def sealed_names(engine: Database, tenant: str, owner: str, session: str) -> dict[str, Sealed]:
    """What each placeholder of this owner's session stands for, sealed. Raises StoreUnavailableError.

    A task that was refused may name a session of somebody else's: of that its owner learns nothing.
    """
    return await _sealed(engine, placeholder.c.id == _id(tenant, session), placeholder.c.owner == owner)


async def names_of_session(engine: Database, tenant: str, session: str) -> dict[str, str]:
    """The names alone, by the tags of what they stand for. Raises StoreUnavailableError."""
    names = await _sealed(engine, placeholder.c.id == _id(tenant, session))
    return {value.tag: name for name, value in names.items()}


async def names_by_tag(pool: Pool, tenant: str, session: str) -> dict[str, str]:
    """The same through a driver's own pool, for consumers. Raises StoreUnavailableError."""
    with store_faults():
        found = await pool.fetchval(_NAMES, _id(tenant, session))
    names: Mapping[str, Mapping[str, str]] = orjson.loads(found) if found else {}
    return {value["tag"]: name for name, value in names.items()}


async def _sealed(engine: Database, *conditions: ColumnElement[bool]) -> dict[str, Sealed]:
    rows = await fetch(engine, select(placeholder.c.names).where(*conditions))
    return {name: Sealed.model_validate(value) for row in rows for name, value in row.names.items()}


def _id(tenant: str, session: str) -> str:
    return f"{tenant}/{session}"
