"""Clients that ask, repeat, cancel, pry and more, each with its own record of what it sent and what it was told."""

import asyncio
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import httpx
from pydantic import JsonValue

from tests.chaos.deeds import DEPENDS, DIVIDES, TALKS, WRITES, Deeds
from tests.chaos.outsider import CAPABILITY
from tests.support.stack_follower import Follower

SAYING = "Summarise: the lift stopped on floor three. Two people waited. The engineer came after an hour."
TO_DIVIDE = "Prepare the relaunch of the club shop."
"""An agent that is given it gets the results of its steps as well: other words than were sent."""
Send = Callable[[], Awaitable[tuple[int, dict[str, JsonValue]]]]
CANCELS, REPEATS, FORGERIES, PRYING = 0.03, 0.08, 0.03, 0.05
"""How many of the requests are also cancelled, asked again, asked again with another body, or read by a stranger."""
OUTSIDE = 0.1
"""How many of the other requests are for somebody else's agent, where there is one."""
_AGAIN_AFTER = 0.25
_AWAY = 0.002


@dataclass(slots=True)
class Request:
    """One thing that was asked for, until it was answered; `ids` are all task ids it was answered with.

    It may begin once the task `after` has ended; one that `divides` is on hold until it is divided; one that needs a
    capability is for somebody else's agent.
    """

    key: str
    text: str
    after: str | None = None
    divides: bool = False
    capability: str | None = None
    ids: set[str] = field(default_factory=set)
    durability: str | None = None
    accepted_at: float = 0.0
    cancelled: bool = False

    @property
    def body(self) -> dict[str, JsonValue]:
        """What is sent."""
        said: dict[str, JsonValue] = {"prompt": self.text}
        if self.after is not None:
            said["depends_on"] = [self.after]
        if self.capability is not None:
            said["required_capabilities"] = [self.capability]
        return {**said, "hold": True, "estimated_hours": 2.5} if self.divides else said

    @property
    def task_id(self) -> str | None:
        """The task it became, once it was answered."""
        return next(iter(self.ids), None)


class Client:
    """One owner. `refused` counts other answers by status and code; `wrong` are answers that must not be.

    `forged` are requests under whose key another body was accepted as well: wrong, unless the log lost the first.
    """

    def __init__(
        self, owner: str, http: httpx.AsyncClient, live: Follower, dice: random.Random, *, outsider: bool = False
    ) -> None:
        self.owner = owner
        self._outside = OUTSIDE if outsider else 0.0
        self.live = live
        self.requests: list[Request] = []
        self.refused: dict[str, int] = {}
        self.wrong: list[str] = []
        self.forged: list[Request] = []
        self.others: list[Client] = []
        self.deeds = Deeds(owner, self._send, dice)
        self._http = http
        self._dice = dice

    async def ask(self, count: int, every: float) -> None:
        """Ask so many times, `every` seconds apart, and see each through until it is answered."""
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                request = self._request(number)
                self.requests.append(request)
                group.create_task(self._see_through(request))
                for chance, deed in ((_AWAY, self._step_out), (WRITES, self.deeds.write), (TALKS, self.deeds.talk)):
                    if self._dice.random() < chance:
                        group.create_task(deed())
                await asyncio.sleep(every * self._dice.uniform(0.5, 1.5))

    def _request(self, number: int) -> Request:
        key, place, chance = uuid.uuid4().hex, f"({self.owner} {number})", self._dice.random()
        if chance < DIVIDES:
            return Request(key, f"{TO_DIVIDE} {place}", divides=True)
        known = [one.task_id for one in self.requests[-20:] if one.durability == "log+database"]
        if chance < DIVIDES + DEPENDS and known:
            return Request(key, f"{SAYING} {place}", after=self._dice.choice(known))
        outside = self._dice.random() < self._outside
        return Request(key, f"{SAYING} {place}", capability=CAPABILITY if outside else None)

    async def ask_the_last(self) -> None:
        """Ask once more and wait until its end was seen: what came before is seen by then, or will never be.

        Raises AssertionError if it is not seen.
        """
        request = Request(uuid.uuid4().hex, f"{SAYING} ({self.owner}, the last)")
        self.requests.append(request)
        await self._ask_until_answered(request)
        await self.live.until_final(request.ids)

    async def _see_through(self, request: Request) -> None:
        await self._ask_until_answered(request)
        if request.task_id is None:
            return
        if request.divides:
            await self.deeds.divide(request.task_id)
            return
        # What the log alone has may be lost with it, and another body be taken under the same key.
        if request.after is not None and request.durability == "log+database":
            await self.deeds.wait_for(request.task_id, request.after)
        chance = self._dice.random()
        if chance < CANCELS:
            request.cancelled = True
            await self._until(lambda: self._post(f"/api/v1/tasks/{request.task_id}/cancel", {}, uuid.uuid4().hex))
        elif chance < CANCELS + REPEATS:
            await self._ask_until_answered(request)
        elif chance < CANCELS + REPEATS + FORGERIES:
            await self._forge(request)
        elif chance < CANCELS + REPEATS + FORGERIES + PRYING and self.others:
            await self._pry(self._dice.choice(self.others))

    async def _ask_until_answered(self, request: Request) -> None:
        while True:
            status, body = await self._post("/api/v1/tasks", request.body, request.key)
            if status == httpx.codes.ACCEPTED:
                request.ids.add(str(body["task_id"]))
                request.durability = request.durability or str(body["durability"])
                request.accepted_at = time.monotonic()
                return
            self._count(status, body)
            if status and status < httpx.codes.INTERNAL_SERVER_ERROR and status != httpx.codes.TOO_MANY_REQUESTS:
                self.wrong.append(f"{status} for a good request")
                return
            await asyncio.sleep(_AGAIN_AFTER)

    async def _forge(self, request: Request) -> None:
        """The same key with another body is a conflict; only while the database is away nobody can know."""
        other = {"prompt": "Something else."}
        status, body = await self._until(lambda: self._post("/api/v1/tasks", other, request.key))
        if status != httpx.codes.CONFLICT and body.get("durability") != "log":
            self.forged.append(request)

    async def _pry(self, other: "Client") -> None:
        """A stranger's task does not exist."""
        found = next((one.task_id for one in reversed(other.requests) if one.task_id), None)
        if found is None:
            return
        status, _ = await self._until(lambda: self._get(f"/api/v1/tasks/{found}"))
        if status != httpx.codes.NOT_FOUND:
            self.wrong.append(f"{status} for a stranger's task")

    async def _step_out(self) -> None:
        async with self.live.away():
            await asyncio.sleep(self._dice.uniform(0.1, 2.0))

    async def _until(self, send: Send) -> tuple[int, dict[str, JsonValue]]:
        """The first answer that is neither absent nor a passing refusal."""
        while True:
            status, body = await send()
            if status and status < httpx.codes.INTERNAL_SERVER_ERROR and status != httpx.codes.TOO_MANY_REQUESTS:
                return status, body
            self._count(status, body)
            await asyncio.sleep(_AGAIN_AFTER)

    async def _post(self, path: str, body: Mapping[str, JsonValue], key: str) -> tuple[int, dict[str, JsonValue]]:
        return await self._send("POST", path, json=body, headers={"Idempotency-Key": key})

    async def _get(self, path: str) -> tuple[int, dict[str, JsonValue]]:
        return await self._send("GET", path)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, JsonValue] | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, JsonValue]]:
        try:
            answer = await self._http.request(method, path, json=json, headers=headers)
        except httpx.TransportError:
            return 0, {}
        return answer.status_code, answer.json() if answer.content else {}

    def _count(self, status: int, body: dict[str, JsonValue]) -> None:
        answer = f"{status} {body.get('code', '')}".rstrip() if status else "none"
        self.refused[answer] = self.refused.get(answer, 0) + 1
