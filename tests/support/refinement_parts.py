"""A stack in parts with the spec engine and its consumers, each a process of its own, to be killed at a stage."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import httpx
import orjson
from nats.aio.msg import Msg
from pydantic import JsonValue

from deploy.local.ports import free_port
from deploy.local.roles import Role
from deploy.local.servers import Servers
from tests.support.clusters import with_cluster
from tests.support.eventually import eventually
from tests.support.infrastructure import server_folder
from tests.support.running_keeper import connect
from tests.support.stack_parts import Parts

_CONSUMERS = ("-m", "tests.support.kill_consumers")
_ROLES = (
    Role("gateway", ("-m", "gateway")),
    Role("keeper", (*_CONSUMERS, "keeper")),
    Role("reactors", (*_CONSUMERS, "reflex", "router", "runner", "engine_cleanup")),
    Role("spec_engine", (*_CONSUMERS, "spec_engine")),
    Role("proposals", (*_CONSUMERS, "proposals")),
    Role("engine", ("-m", "engine")),
)
KILLED = ("engine", "spec_engine", "proposals", "keeper")
STAGES = (
    "task.submitted",
    "task.checked",
    "task.ready",
    "route.decided",
    "task.assigned",
    "run.started",
    "task.running",
    "run.files",
    "run.finished",
    "task.succeeded",
    "proposal.extracting",
    "proposal.extracted",
)
PROMPT = "A service that greets people by name. It must answer within 100 ms and should greet in German, too."
Files = dict[str, str]


@asynccontextmanager
async def refinement_parts() -> AsyncGenerator[Parts]:
    """All of it, ready; nothing is left afterwards."""
    port = free_port()
    env = {
        "SPEC_ENGINE_URL": f"http://127.0.0.1:{port}",
        "SPEC_ENGINE_PORT": str(port),
        "SPEC_ENGINE_TOKEN": "a token for these tests only",
        "SPEC_ENGINE_BREAKER_PAUSE": "0.5",
        "SPEC_ENGINE_POLL": "0.5",
        "GANGLION_SWEEP": "off",
    }
    with server_folder() as folder:
        async with Servers(await with_cluster(folder)) as servers:
            parts = Parts(servers, Path(folder), env=env, roles=_ROLES)
            await parts.provision()
            try:
                await parts.heal()
                yield parts
            finally:
                await parts.stop()


@dataclass
class Refined:
    """How a refinement ended, as its owner sees it."""

    proposal: dict[str, JsonValue]
    files: Files
    attempts: int
    pending: int
    """How often a proposal of this workflow became pending."""
    proposals: int


async def refined(parts: Parts, *, kill: str | None = None, at: str = "") -> Refined:
    """One refinement from its request to its proposal, while a role or server dies as a stage is seen on the bus."""
    bus = await connect(parts.servers.nats_url)
    seen: dict[str, int] = {}
    struck = asyncio.Event()
    stage, _, number = at.partition(" ")
    async with parts.client("alice") as alice:
        made = await alice.post("/api/workflows", json={"name": "Greeter"})
        workflow_id = made.json()["id"]

        async def look(message: Msg) -> None:
            with suppress(orjson.JSONDecodeError, KeyError):
                event = orjson.loads(message.data)
                if event.get("sessionid") != workflow_id:
                    return
                name = ".".join(event["type"].split(".")[2:4])
                seen[name] = seen.get(name, 0) + 1
                if kill is not None and name == stage and seen[name] == int(number or 1) and not struck.is_set():
                    struck.set()
                    if kill in parts.names:
                        pid = parts.pid(kill)
                        assert pid is not None
                        os.kill(pid, signal.SIGKILL)

        await bus.subscribe("bus.>", cb=look)
        await bus.flush()
        asked = await alice.post(f"/api/workflows/{workflow_id}/refinements", json={"instructions": PROMPT})
        assert asked.status_code == 202, asked.text
        if kill is not None:
            await eventually(struck.is_set, within=40)
            await (parts.died(kill) if kill in parts.names else parts.kill(kill))
            await parts.start(kill)
        try:
            return await _ended(alice, asked.json(), workflow_id, seen)
        finally:
            await bus.close()


async def _ended(alice: httpx.AsyncClient, asked: dict[str, str], workflow_id: str, seen: dict[str, int]) -> Refined:
    found: dict[str, JsonValue] = {}

    async def is_there() -> bool:
        with suppress(httpx.TransportError):
            answer = await alice.get(f"/api/proposals/{asked['proposal_id']}")
            found.update(answer.json() if answer.status_code == httpx.codes.OK else {})
        assert found.get("status") == "completed", found.get("status")
        return True

    await eventually(is_there, within=60, every=0.05)
    files = cast("dict[str, dict[str, str]]", found["generated_files"])
    task = (await alice.get(f"/api/v1/tasks/{asked['thread_id']}")).json()
    listed = (await alice.get(f"/api/proposals?workflow_id={workflow_id}")).json()["items"]
    await eventually(lambda: "proposal.pending" in seen, within=20)
    return Refined(
        proposal=found,
        files={path: file["content"] for path, file in files.items()},
        attempts=task["attempt"],
        pending=seen["proposal.pending"],
        proposals=len(listed),
    )
