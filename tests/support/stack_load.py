"""A light load from several owners, each with its own record of what was asked, what was answered and what was seen."""

import asyncio
import itertools
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import httpx

from tests.support.eventually import PATIENCE
from tests.support.stack_follower import Follower
from tests.support.stack_parts import Parts

TEXT = "Summarise: the lift stopped on floor three. Two people waited. The engineer came after an hour."
_PAUSE = 0.25


class Asker:
    """One owner: asks again and again, repeats with the same key until it has an answer, and writes down everything.

    `promised` maps task ids to the durability they were accepted with, `refused` counts other answers by status
    (0: no answer at all).
    """

    def __init__(self, owner: str, client: httpx.AsyncClient, live: Follower) -> None:
        self.owner = owner
        self.live = live
        self.promised: dict[str, str] = {}
        self.refused: dict[int, int] = {}
        self.work: asyncio.Task[None] = asyncio.get_running_loop().create_task(asyncio.sleep(0))
        self._client = client
        self._asking = True

    def stop(self) -> None:
        """Finish the request in hand and ask no more."""
        self._asking = False

    async def ask(self, at_once: int = 1) -> None:
        """Go on until stopped."""
        for number in itertools.count():
            if not self._asking:
                return
            await asyncio.gather(*(self._ask_until_answered(f"{TEXT} ({number}.{part})") for part in range(at_once)))
            await asyncio.sleep(_PAUSE)

    async def _ask_until_answered(self, text: str) -> None:
        key = uuid.uuid4().hex
        while True:
            status, body = await self._post(text, key)
            if status == httpx.codes.ACCEPTED:
                self.promised[str(body["task_id"])] = str(body["durability"])
                return
            self.refused[status] = self.refused.get(status, 0) + 1
            await asyncio.sleep(_PAUSE)

    async def _post(self, text: str, key: str) -> tuple[int, dict[str, object]]:
        try:
            answer = await self._client.post("/api/v1/tasks", json={"prompt": text}, headers={"Idempotency-Key": key})
        except httpx.TransportError:
            return 0, {}
        return answer.status_code, answer.json()


def promised(askers: Sequence[Asker], *durabilities: str) -> set[str]:
    """The tasks that were accepted with one of these durabilities."""
    return {task_id for asker in askers for task_id, how in asker.promised.items() if how in durabilities}


@asynccontextmanager
async def asking(parts: Parts, owners: int, *, at_once: int = 1) -> AsyncGenerator[list[Asker]]:
    """So many owners ask until `answered` is awaited; they follow what happens until the block ends."""
    async with AsyncExitStack() as stack:
        askers = []
        for _ in range(owners):
            owner = f"o-{uuid.uuid4().hex[:12]}"
            client = await stack.enter_async_context(parts.client(owner))
            live = await stack.enter_async_context(parts.follower(owner))
            askers.append(Asker(owner, client, live))
        for asker in askers:
            asker.work = asyncio.create_task(asker.ask(at_once))
        try:
            yield askers
        finally:
            for asker in askers:
                asker.work.cancel()
            await asyncio.gather(*(asker.work for asker in askers), return_exceptions=True)


async def answered(askers: Sequence[Asker], within: float = 40.0) -> None:
    """Ask no more, and wait until every request in hand has its answer."""
    for asker in askers:
        asker.stop()
    async with asyncio.timeout(PATIENCE * within):
        await asyncio.gather(*(asker.work for asker in askers))
