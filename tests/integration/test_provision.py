"""Provisioning: the newest schema and every stream, as often as one likes."""

import json
import subprocess
import sys

import asyncpg
import nats

from deploy.provision import provision
from events.streams import DURABLES, STREAMS


async def test_provisioning_makes_tables_and_streams_and_repeats_without_harm(
    nats_url: str, bare_database_url: str
) -> None:
    for _ in range(2):
        await provision(nats_url, bare_database_url)
    database = await asyncpg.connect(bare_database_url)
    tables = {row["tablename"] for row in await database.fetch("SELECT tablename FROM pg_tables")}
    await database.close()
    client = await nats.connect(nats_url)
    streams = {info.config.name for info in await client.jetstream().streams_info()}
    js = client.jetstream()
    consumers = {info.name for stream in sorted(map(str, streams)) for info in await js.consumers_info(stream)}
    await client.close()
    assert {"event_log", "outbox", "task"} <= tables
    assert streams == {stream.name for stream in STREAMS}
    assert consumers == {durable.name for durable in DURABLES}


FAILING = """
from deploy import provision
async def fail(*_):
    raise ValueError("canary-7f3a")
provision.provision = fail
provision.main()
"""


def test_what_ends_it_is_logged_and_quotes_nobody() -> None:
    """What a migration fails with may quote a row."""
    env = {"NATS_URL": "nats://127.0.0.1:1", "DATABASE_URL": "postgresql://127.0.0.1:1/none"}
    ran = subprocess.run([sys.executable, "-c", FAILING], capture_output=True, text=True, check=False, env=env)  # noqa: S603 - our own line
    (line,) = [json.loads(line) for line in ran.stderr.splitlines()]
    assert (ran.returncode, line["event"], "canary-7f3a" in ran.stderr) == (1, "process_failed", False)
