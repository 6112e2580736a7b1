"""Registering an agent goes on as long as it may succeed, and says why it has not."""

import asyncio

import pytest
from structlog.testing import capture_logs

from producers.agent import Agent, Context, Task
from producers.agents.registering import Offer, register
from producers.sdk.errors import ProducerError
from tests.support.eventually import eventually

OFFER = Offer(name="AGENT-ONE", capabilities={"answer": 1.0})


async def test_who_finds_nobody_is_told_where_it_asks() -> None:
    nobody = "http://127.0.0.1:1"
    with capture_logs() as logs:
        registering = asyncio.create_task(register(nobody, "t", OFFER, asyncio.Event()))
        await eventually(lambda: logs)
        registering.cancel()
    assert (logs[0]["event"], logs[0]["url"], logs[0]["why"]) == ("agent_not_registered", nobody, "ConnectError")


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "nats://127.0.0.1:4222", ""])
async def test_a_url_that_leads_nowhere_is_not_asked_for_ever(url: str) -> None:
    async with asyncio.timeout(2):
        with pytest.raises(ProducerError, match="begins with http"):
            await register(url, "t", OFFER, asyncio.Event())


async def test_without_a_token_nobody_is_asked() -> None:
    async with asyncio.timeout(2):
        with pytest.raises(ProducerError, match="GANGLION_TOKEN is empty"):
            await register("http://127.0.0.1:1", "", OFFER, asyncio.Event())


async def test_an_agent_that_is_told_to_leave_while_it_finds_nobody_leaves() -> None:
    agent = Agent("AGENT-ONE", ["answer"], url="http://127.0.0.1:1", token="t")

    @agent.handler
    async def answer(_: Task, __: Context) -> str:
        return ""

    with capture_logs() as logs:
        serving = asyncio.create_task(agent.serve())
        await eventually(lambda: len(logs) > 1)
        agent.drain()
        async with asyncio.timeout(2):
            await serving
