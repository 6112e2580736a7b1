"""Several gateways on one stack, and a light load through whichever of them answers."""

import asyncio
import os
import random
import signal
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx

from deploy.local.ports import free_port
from deploy.local.role_process import RoleProcess
from deploy.local.roles import Role
from tests.support.eventually import eventually
from tests.support.stack_parts import Parts

TEXT = "Summarise: the lift stopped on floor three. Two people waited. The engineer came after an hour."


class Gateway:
    """One more gateway, on a port of its own that it keeps over its deaths."""

    def __init__(self, parts: Parts, number: int) -> None:
        self.port = free_port()
        role = Role(f"soak-gateway-{number}", ("-m", "gateway"))
        env = {**parts.environment(role), "GANGLION_PORT": str(self.port)}
        self._log = parts.home / "logs" / f"{role.name}.log"
        self._process = RoleProcess(role, parts.launcher, env, self._log)

    async def start(self) -> None:
        """Launch it and wait until it takes work."""
        await self._process.start()
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", trust_env=False) as client:
            try:
                await eventually(lambda: _is_ready(client), within=30, every=0.1)
            except AssertionError as error:
                raise AssertionError(f"gateway at {self.pid} is not ready:\n{self.log[-3_000:]}") from error

    async def die(self, number: signal.Signals) -> None:
        """End it, with or without a warning."""
        os.kill(self.pid, number)
        await self._process.ended()

    @property
    def pid(self) -> int:
        """Its process id; it runs."""
        assert self._process.pid is not None, f"it ended by itself:\n{self.log[-3_000:]}"
        return self._process.pid

    @property
    def log(self) -> str:
        """All that it has written."""
        return self._log.read_text(errors="replace")

    async def stop(self) -> None:
        """For good."""
        await self._process.stop()


@asynccontextmanager
async def gateways(parts: Parts, count: int) -> AsyncGenerator[list[Gateway]]:
    """So many, ready."""
    started = [Gateway(parts, number) for number in range(count)]
    try:
        await asyncio.gather(*(one.start() for one in started))
        yield started
    finally:
        await asyncio.gather(*(one.stop() for one in started))


class Load:
    """Tasks of several owners, so many a second in all; `accepted` maps owners to their tasks."""

    def __init__(self, parts: Parts, doors: list[Gateway], owners: list[str], per_second: float) -> None:
        self._doors = doors
        self._clients = {owner: parts.client(owner) for owner in owners}
        self._pause = 1 / per_second
        self.accepted: dict[str, list[str]] = {owner: [] for owner in owners}
        self.on_task: list[asyncio.Queue[tuple[str, str]]] = []

    async def run(self, dice: random.Random) -> None:
        """Until cancelled."""
        owners = list(self.accepted)
        async with asyncio.TaskGroup() as asking:
            while True:
                asking.create_task(self._ask(dice.choice(owners), dice))
                await asyncio.sleep(self._pause)

    async def _ask(self, owner: str, dice: random.Random) -> None:
        key = uuid.uuid4().hex
        while True:
            door = dice.choice(self._doors)
            try:
                answer = await self._clients[owner].post(
                    f"http://127.0.0.1:{door.port}/api/v1/tasks",
                    json={"prompt": f"{TEXT} ({key})"},
                    headers={"Idempotency-Key": key},
                )
            except httpx.TransportError:
                await asyncio.sleep(0.1)
                continue
            if answer.status_code == httpx.codes.ACCEPTED:
                task_id = answer.json()["task_id"]
                self.accepted[owner].append(task_id)
                for queue in self.on_task:
                    queue.put_nowait((owner, task_id))
                return
            await asyncio.sleep(0.1)

    async def close(self) -> None:
        """Hang up."""
        await asyncio.gather(*(client.aclose() for client in self._clients.values()))


async def _is_ready(client: httpx.AsyncClient) -> bool:
    try:
        answer = await client.get("/readyz?verbose")
        assert answer.status_code == httpx.codes.OK, answer.text
        return True
    except httpx.TransportError:
        return False
