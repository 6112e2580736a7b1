"""JSON out of what the gateway holds."""

from uuid import UUID

import orjson


def to_json(value: object) -> bytes:
    """Encode any JSON value; UUIDs (asyncpg has a class of its own) and datetimes are understood."""
    return orjson.dumps(value, default=_plain)


def _plain(value: object) -> str:
    if isinstance(value, UUID):
        return str(value)
    raise TypeError
