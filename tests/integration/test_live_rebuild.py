"""The live state is built from Postgres only once everything is committed there that the log holds."""

import pytest
from pydantic import SecretStr

from consumers.router.rebuild import Builder
from deploy.local.server import Server
from events.streams import BUS
from producers.topology import apply
from storage.database import DatabaseSettings
from storage.live.store import LiveStateUnavailableError
from tests.support.live import live_agents
from tests.support.running_keeper import a_bus, leading


async def test_a_place_in_an_earlier_epoch_says_nothing_of_what_is_committed(
    module_nats_server: Server, database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_bus(module_nats_server.url, database_url) as bus, live_agents(redis_url) as live:
        led = await leading(bus)
        await bus.submit("first of the old log")
        await bus.submit("second of the old log")
        await bus.folded()
        await led.stop()
        await bus.client.jetstream().delete_stream(BUS.name)
        await apply(bus.client)
        await bus.submit("only one of the new log")
        builder = Builder(live, DatabaseSettings(database_url=SecretStr(database_url)), bus.client)
        with monkeypatch.context() as patched:
            patched.setattr("consumers.router.rebuild._WITHIN", 0.3)
            with pytest.raises(LiveStateUnavailableError):
                await builder.ensure()
        await leading(bus)
        await builder.ensure()
        await live.look()
