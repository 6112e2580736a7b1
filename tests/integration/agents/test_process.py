"""An agent as a process of its own: it ends what it has in hand when it is told to stop, and leaves."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
import pytest

from tests.support.agency import REGISTRAR, Agency
from tests.support.agent_process import HOLD
from tests.support.eventually import eventually
from tests.support.running_gateway import token

pytestmark = pytest.mark.asyncio(loop_scope="package")
NAME = "AGENT-APART"


@asynccontextmanager
async def process(agency: Agency) -> AsyncGenerator[asyncio.subprocess.Process]:
    env = {
        **os.environ,
        "GANGLION_URL": agency.doorstep.gateway.url,
        "GANGLION_TOKEN": token("registrar", tenant="acme", scopes=REGISTRAR),
        "GANGLION_NATS_URL": f"nats://{agency.doorstep.where}",
    }
    command = (sys.executable, "-m", "tests.support.agent_process", NAME, "answer", "1")
    started = await asyncio.create_subprocess_exec(*command, env=env, stdin=asyncio.subprocess.PIPE)
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_told_to_stop_it_ends_its_run_takes_nothing_new_and_leaves(
    agency: Agency, alice: httpx.AsyncClient, number: signal.Signals
) -> None:
    async def status() -> object:
        return (await alice.get(f"/api/v1/agents/{NAME}")).json()["status"]

    async def is_draining() -> bool:
        return await status() == "draining"

    async def is_held() -> bool:
        return any(event["type"] == "io.ganglion.run.progress.v1" for event in await agency.said(held))

    async with process(agency) as agent:
        held = await agency.submit(alice, HOLD)
        await eventually(is_held, within=30)
        agent.send_signal(number)
        await eventually(is_draining, within=15)
        other = await agency.submit(alice)
        await agency.becomes(alice, other, "ready")
        assert agent.stdin is not None
        agent.stdin.write(b"go on\n")
        task = await agency.becomes(alice, held, "succeeded")
        assert await asyncio.wait_for(agent.wait(), 15) == 0
    assert (task["attempt"], task["result"]) == (1, {"text": HOLD})
    assert await status() == "gone"
    assert (await agency.task(alice, other))["status"] == "ready"
