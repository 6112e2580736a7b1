"""The live state is built from Postgres only once everything is committed there that the log holds, and as it was."""

import pytest
from pydantic import SecretStr

from consumers.router.rebuild import Builder
from deploy.local.server import Server
from events import TaskControl
from events.agent import EVERYONE
from events.streams import BUS
from producers.topology import apply
from storage.database import DatabaseSettings
from storage.live.durable import Durable
from storage.live.store import ColdError, LiveStateUnavailableError
from tests.support.live import live_agents
from tests.support.registering import NAME, about, offer, offer_of_ours
from tests.support.running_keeper import a_bus, checked, decided, finished, leading, started


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


async def test_what_was_built_in_an_earlier_epoch_is_built_anew(
    module_nats_server: Server, database_url: str, redis_url: str
) -> None:
    """The end that the log has lost may have told what the router had not read, and nobody tells it again."""
    async with a_bus(module_nats_server.url, database_url) as bus, live_agents(redis_url) as live:
        led = await leading(bus)
        builder = Builder(live, DatabaseSettings(database_url=SecretStr(database_url)), bus.client)
        await builder.ensure()
        await builder.look()
        await live.look()
        await bus.publisher.publish(about(offer()))
        await bus.folded()
        await led.stop()
        await bus.client.jetstream().delete_stream(BUS.name)
        await leading(bus)
        live.forget()
        await live.look()
        assert not live.view
        await builder.look()
        live.forget()
        with pytest.raises(ColdError):
            await live.look()
        await builder.ensure()
        await live.look()
        assert list(live.view) == [f"t/{NAME}"]
        await builder.look()
        await live.apply([])


async def test_a_task_that_its_owner_ends_as_failed_is_no_failure_of_its_agent(
    module_nats_server: Server, database_url: str
) -> None:
    async with a_bus(module_nats_server.url, database_url) as bus:
        await leading(bus)
        await bus.publisher.publish(about(offer_of_ours(), tenant=EVERYONE))
        by_owner, by_agent = [await bus.submit(name) for name in ("by its owner", "by its agent")]
        for cause in (by_owner, by_agent):
            for data in (checked(cause), decided(cause), started(cause)):
                await bus.say(cause, data)
        assert by_owner.taskid is not None
        await bus.say(by_owner, TaskControl(task_id=by_owner.taskid, action="fail", by="o"))
        await bus.say(by_agent, finished(by_agent, "failed"))
        await bus.folded()
        async with Durable.open(DatabaseSettings(database_url=SecretStr(database_url))) as durable:
            (agent,) = await durable.agents()
    assert [outcome for outcome, _ in agent.outcomes] == ["f"]
