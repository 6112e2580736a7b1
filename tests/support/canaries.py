"""Everything a stack keeps, as texts by place: logs, streams, tables, Redis."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
from nats.aio.client import Client
from nats.js.errors import NotFoundError
from redis.asyncio import Redis


def in_logs(home: Path) -> Iterator[tuple[str, str]]:
    """Each log file."""
    for path in sorted((home / "logs").rglob("*")):
        if path.is_file():
            yield f"log {path.name}", path.read_text(errors="replace")


async def in_streams(client: Client) -> AsyncIterator[tuple[str, str]]:
    """Each message of each stream, by stream and subject."""
    js = client.jetstream()
    for stream in await js.streams_info():
        name = stream.config.name or ""
        state = stream.state
        for seq in range(max(1, state.first_seq), state.last_seq + 1):
            try:
                message = await js.get_msg(name, seq)
            except NotFoundError:
                continue
            yield (
                f"stream {name} {message.subject}",
                f"{message.headers} {(message.data or b'').decode(errors='replace')}",
            )


async def in_tables(dsn: str) -> AsyncIterator[tuple[str, str]]:
    """Each value of each table, by table and column; of the log also by the event's type."""
    connection = await asyncpg.connect(dsn)
    tables = await connection.fetch(
        "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    )
    for schema, table in tables:
        for row in await connection.fetch(f'SELECT * FROM "{schema}"."{table}"'):  # noqa: S608  # names from the catalogue
            kind = f" {row['type']}" if table == "event_log" else f" {row['role']}" if table == "message" else ""
            for column, value in row.items():
                text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
                yield f"table {table}.{column}{kind}", text
    await connection.close()


async def in_redis(url: str) -> AsyncIterator[tuple[str, str]]:
    """Each key with all that is under it, as Redis dumps it."""
    async with Redis.from_url(url) as redis:
        await redis.config_set("rdbcompression", "no")
        async for key in redis.scan_iter():
            yield f"redis {key!r}", f"{key!r} {(await redis.dump(key) or b'').decode(errors='replace')}"
