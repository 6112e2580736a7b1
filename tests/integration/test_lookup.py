"""What consumers look up: whoever asks is answered, whatever stands in the rows of others."""

import asyncio
from uuid import uuid4

import pytest
from pydantic import SecretStr

from deploy.local.server import Server
from storage.database import DatabaseSettings
from storage.lookup import _QUERY, PostgresLookup, UnreadableTaskError
from tests.support.running_keeper import a_bus


async def test_a_row_that_cannot_be_read_keeps_nobody_else_waiting(
    module_nats_server: Server, database_url: str
) -> None:
    async with a_bus(module_nats_server.url, database_url) as bus:
        good, bad = await bus.submit("good"), await bus.submit("bad")
        await bus.keeper()
        await bus.folded()
        assert good.taskid is not None
        assert bad.taskid is not None
        await bus.database.execute("UPDATE task SET spec = '{}' WHERE id = $1", bad.taskid)
        async with PostgresLookup(DatabaseSettings(database_url=SecretStr(database_url))) as lookup, asyncio.timeout(5):
            asked = [asyncio.create_task(lookup.task(task_id)) for task_id in (bad.taskid, good.taskid)]
            found = await asked[1]
            assert found is not None
            assert found.spec.prompt == "good"
            with pytest.raises(UnreadableTaskError):
                await asked[0]


async def test_a_plan_made_while_the_table_is_small_does_not_read_all_of_it_later(database_url: str) -> None:
    async with PostgresLookup(DatabaseSettings(database_url=SecretStr(database_url))) as lookup:
        await lookup._pool.execute("ANALYZE task")
        plan = await lookup._pool.fetch(f"EXPLAIN {_QUERY}", [uuid4()])
    assert "Seq Scan" not in "\n".join(row[0] for row in plan), plan
