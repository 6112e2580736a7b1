"""Clients with nothing of ours in them follow a room to its end, through a network that cuts them off."""

import asyncio
import json
import sys
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from events.task import Status
from tests.integration.gateway.test_sockets import submitted
from tests.support.eventually import eventually
from tests.support.fake_keeper import FakeKeeper
from tests.support.proxy import Proxy, proxied
from tests.support.running_gateway import RunningGateway, token
from tests.support.strangers import NODE, absent

EXAMPLES = Path(__file__).parents[3] / "examples"
LIFE: tuple[Status, ...] = ("waiting", "ready", "assigned", "running", "paused", "running", "succeeded")
TOOLS = {
    "websockets": ("ws", (sys.executable, "-I", str(EXAMPLES / "subscribe.py"))),
    "node": ("ws", (*NODE, str(EXAMPLES / "subscribe.mjs"))),
    "curl": ("http", ("sh", str(EXAMPLES / "subscribe.sh"))),
}
STRANGERS = [name for name in TOOLS if name not in absent()]
"""Those who are here; the last lines of a test run name the others (tests/conftest.py)."""


def cursors_of(output: str) -> list[str]:
    """The cursors of the events that a stranger printed: JSON lines, or server-sent events."""
    found = []
    for line in output.splitlines():
        if line.startswith("data: "):
            found.append(json.loads(line[6:]).get("cursor"))
        elif line.startswith("{"):
            found.append(json.loads(line).get("cursor"))
    return [cursor for cursor in found if cursor is not None]


async def live(gateway: RunningGateway, keeper: FakeKeeper, task_id: UUID, proxy: Proxy) -> None:
    """The task's whole life; before every second step the stranger is in its room, after it the network is cut."""
    room = f"task:acme:alice:{task_id}"
    for number, status in enumerate(LIFE):
        if number % 2 == 0:
            await eventually(lambda: proxy.connections and room in gateway.gateway.hub._rooms, within=30)
        await keeper.enter(task_id, status)
        if number % 2 == 0:
            proxy.cut()
            await eventually(lambda: room not in gateway.gateway.hub._rooms)


@pytest.mark.parametrize("name", STRANGERS)
async def test_a_stranger_sees_each_event_once_and_in_order_though_it_is_cut_off(
    gateway: RunningGateway, alice: httpx.AsyncClient, keeper: FakeKeeper, name: str
) -> None:
    scheme, command = TOOLS[name]
    task_id = await submitted(alice)
    async with proxied(gateway.url) as proxy:
        address = f"{scheme}://127.0.0.1:{proxy.port}{'/ws' if scheme == 'ws' else ''}"
        process = await asyncio.create_subprocess_exec(
            *command,
            address,
            f"task:{task_id}",
            env={"PATH": "/usr/bin:/bin", "TOKEN": token()},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        living = asyncio.create_task(live(gateway, keeper, task_id, proxy))
        async with asyncio.timeout(60):
            output, errors = await process.communicate()
        await living
    assert process.returncode == 0, errors.decode()
    history = (await alice.get(f"/api/v1/tasks/{task_id}/events")).json()["items"]
    assert cursors_of(output.decode()) == [item["cursor"] for item in history]
