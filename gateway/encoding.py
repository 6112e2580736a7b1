"""JSON out of what the gateway holds."""

from uuid import UUID

import orjson
import pydantic_core


def to_json(value: object) -> bytes:
    """Encode any JSON value; UUIDs (asyncpg has a class of its own) and datetimes are understood."""
    try:
        return orjson.dumps(value, default=_plain)
    except TypeError:  # a whole number beyond 64 bits: clients may send it and the database keeps it
        return pydantic_core.to_json(value, inf_nan_mode="null", fallback=_plain)


def _plain(value: object) -> str:
    if isinstance(value, UUID):
        return str(value)
    raise TypeError
