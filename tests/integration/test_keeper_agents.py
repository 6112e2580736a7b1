"""Agents under the real keeper: what is asked for them is judged once, and what they are is announced and kept."""

import json
from collections.abc import AsyncGenerator

import asyncpg
import pytest
from pydantic import SecretStr

from consumers.keeper.agent_state import AgentState
from deploy.local.server import Server
from events import EVERYONE, AgentChanged, EventData
from storage.database import DatabaseSettings
from storage.lookup import PostgresLookup
from storage.models import agent
from storage.unnest import columns_of
from tests.support.accounting import assert_accounted
from tests.support.registering import HASH, NAME, about, heartbeat, leaving, offer, offer_of_ours
from tests.support.running_keeper import Bus, a_bus


@pytest.fixture
async def bus(module_nats_server: Server, database_url: str) -> AsyncGenerator[Bus]:
    async with a_bus(module_nats_server.url, database_url) as bus:
        await bus.keeper()
        yield bus
        await assert_accounted(database_url)


async def said(bus: Bus, data: EventData, *, tenant: str = "t", owner: str = "o") -> str | None:
    """The keeper's outcome of an event about an agent."""
    event = about(data, tenant=tenant, owner=owner)
    await bus.publisher.publish(event)
    await bus.folded()
    return await bus.outcome(event)


async def row(bus: Bus, name: str = f"t/{NAME}") -> asyncpg.Record:
    found = await bus.database.fetchrow("SELECT * FROM agent WHERE id = $1", name)
    assert found is not None
    return found


async def states(bus: Bus) -> list[tuple[str, str | None]]:
    """The states announced, with the reason."""
    return [
        (str(event["type"]).split(".")[3], event["data"]["reason"])  # type: ignore[index]  # an object, seen by eye
        for _, event in await bus.stream()
        if event.get("source") == "/keeper" and str(event["type"]).startswith("io.ganglion.agent.")
    ]


def test_the_columns_and_the_fields_are_the_same() -> None:
    assert columns_of(agent) == AgentState._fields


async def test_an_agent_lives_from_its_registration_to_its_leaving(bus: Bus) -> None:
    assert await said(bus, offer(capabilities={"answer": 1.0, "translate": 0.7}, technologies=["python"])) == "applied"
    born = await row(bus)
    assert (born["status"], born["version"], born["tier"], born["available"]) == ("active", 1, "competent", True)
    assert json.loads(born["capabilities"]) == {"answer": 1.0, "translate": 0.7}
    assert born["token_hash"] == HASH
    assert await said(bus, heartbeat(status="busy", in_flight=3, load=0.6)) == "applied"
    assert await said(bus, heartbeat(status="offline")) == "applied"
    assert (await row(bus))["status"] == "offline"
    assert await said(bus, heartbeat()) == "applied"
    assert json.loads((await row(bus))["reported"]) == {"status": "healthy", "in_flight": None, "load": None}
    assert await said(bus, leaving(drain=True)) == "applied"
    assert (await row(bus))["available"] is False
    assert await said(bus, leaving()) == "applied"
    assert (await row(bus))["token_hash"] is None
    assert await said(bus, heartbeat()) == "refused:unknown_agent"
    told = await states(bus)
    assert [name for name, _ in told] == ["active", "offline", "active", "draining", "gone"]
    assert [why for _, why in told][:3] == ["registered", "said_so", "heard_again"]


async def test_a_draining_agent_that_was_not_heard_of_goes_on_draining(bus: Bus) -> None:
    await said(bus, offer())
    await said(bus, leaving(drain=True))
    await said(bus, heartbeat(status="offline"))
    await said(bus, heartbeat())
    assert (await row(bus))["status"] == "draining"


async def test_a_name_belongs_to_who_registered_it_first_until_it_is_gone(bus: Bus) -> None:
    assert await said(bus, offer()) == "applied"
    assert await said(bus, offer(capacity=50), owner="thief") == "refused:name_taken"
    assert await said(bus, offer(), tenant="other", owner="thief") == "applied"
    assert await said(bus, offer(capacity=7, token_hash="1" * 64)) == "applied"
    mine = await row(bus)
    assert (mine["owner"], mine["capacity"], mine["token_hash"], mine["version"]) == ("o", 7, "1" * 64, 2)
    await said(bus, leaving())
    assert await said(bus, offer(), owner="heir") == "applied"
    assert ((await row(bus))["owner"], (await row(bus))["version"]) == ("heir", 4)


async def test_nobody_outside_can_make_an_agent_for_everyone_nor_one_of_ours_for_a_tenant(bus: Bus) -> None:
    assert await said(bus, offer(), tenant=EVERYONE) == "refused:not_of_this_tenant"
    assert await said(bus, offer_of_ours()) == "refused:not_of_this_tenant"
    assert await said(bus, offer_of_ours(), tenant=EVERYONE, owner=EVERYONE) == "applied"


async def test_a_process_of_ours_that_offers_the_same_again_changes_no_state(bus: Bus) -> None:
    for _ in range(3):
        await said(bus, offer_of_ours(), tenant=EVERYONE, owner=EVERYONE)
    assert len(await states(bus)) == 1
    await said(bus, offer_of_ours(capacity=64), tenant=EVERYONE, owner=EVERYONE)
    assert (await row(bus, "_/extractive"))["capacity"] == 64
    assert len(await states(bus)) == 2


async def test_what_the_router_makes_of_an_agent_is_kept(bus: Bus) -> None:
    await said(bus, offer())
    changed = AgentChanged(
        agent_id=NAME,
        tier="elite",
        load_level="high",
        breaker="open",
        available=False,
        in_flight=4,
        capacity=5,
        quality=0.97,
        why="test",
    )
    await bus.publisher.publish(about(changed, source="/consumers/router"))
    await bus.folded()
    found = await row(bus)
    shown = [found[name] for name in ("tier", "quality", "load_level", "breaker", "available", "in_flight")]
    assert shown == ["elite", 0.97, "high", "open", False, 4]


async def test_a_planner_learns_what_the_active_agents_of_a_tenant_and_ours_can_do(bus: Bus, database_url: str) -> None:
    await said(bus, offer_of_ours(capabilities={"ours": 1.0}), tenant=EVERYONE)
    await said(bus, offer(capabilities={"theirs": 1.0}), tenant="another")
    await said(bus, offer(capabilities={"one": 1.0, "two": 0.5}))
    await said(bus, offer("AGENT-TWO", capabilities={"gone": 1.0}))
    await said(bus, leaving("AGENT-TWO"))
    async with PostgresLookup(DatabaseSettings(database_url=SecretStr(database_url))) as lookup:
        assert await lookup.capabilities("t") == {"ours", "one", "two"}
