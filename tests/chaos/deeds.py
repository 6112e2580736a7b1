"""What a client does beside asking: it lets tasks wait for one another, divides some, talks, and keeps a context.

Each with a record of what it was promised; the checker looks whether that came true.
"""

import asyncio
import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import httpx
from pydantic import JsonValue

Body = Mapping[str, JsonValue]
Answer = tuple[int, dict[str, JsonValue]]
DEPENDS, DIVIDES, WRITES, TALKS = 0.06, 0.02, 0.05, 0.02
"""How many of the requests wait for an earlier one, or are divided; at how many a place is written, a turn taken."""
_LET_GO = 0.3
_AGAIN_AFTER = 0.25
_OF_THE_TURN = (httpx.codes.BAD_GATEWAY, httpx.codes.GATEWAY_TIMEOUT)
"""What became of the turn itself: to ask again would bring the same answer."""


class Sender(Protocol):
    """Sends one request; status 0 if no answer came."""

    async def __call__(
        self, method: str, path: str, *, json: Body | None = None, headers: dict[str, str] | None = None
    ) -> Answer: ...


@dataclass(slots=True)
class Record:
    """What was promised: the places that the context took, and what was said in which conversation; `turns` are the
    keys of all that was said, promised or not. `waits` is which task was to begin after which, if it was not let go.
    """

    context: str | None = None
    written: dict[str, set[str]] = field(default_factory=dict)
    said: dict[str, list[str]] = field(default_factory=dict)
    turns: set[str] = field(default_factory=set)
    waits: dict[str, str] = field(default_factory=dict)
    undivided: list[str] = field(default_factory=list)


class Deeds:
    """One client's; turns one at a time, and the context's writes as they come."""

    def __init__(self, owner: str, send: Sender, dice: random.Random) -> None:
        self.record = Record()
        self._owner = owner
        self._send = send
        self._dice = dice
        self._talking = asyncio.Lock()
        self._beginning = asyncio.Lock()

    async def divide(self, task_id: str) -> None:
        """Have a task on hold divided: asked until there is a plan, or can be none."""
        while True:
            status, body = await self._settled("POST", f"/api/v1/tasks/{task_id}/decompose", {}, wait=10)
            if status == httpx.codes.ACCEPTED:  # what the log alone has may be lost with it
                await asyncio.sleep(_AGAIN_AFTER)
                continue
            if status not in (httpx.codes.OK, httpx.codes.CONFLICT, httpx.codes.NOT_FOUND):
                self.record.undivided.append(f"{task_id}: {status} {body.get('code')}")
            return

    async def wait_for(self, task_id: str, other: str) -> None:
        """Note that the one begins after the other; now and then let it go again, if it has not begun."""
        self.record.waits[task_id] = other
        if self._dice.random() < _LET_GO:
            del self.record.waits[task_id]
            await self._settled("DELETE", f"/api/v1/tasks/{task_id}/dependencies/{other}")

    async def write(self) -> None:
        """Set one more place of the context; it is promised once the answer shows what the database has."""
        async with self._beginning:
            if self.record.context is None:
                status, body = await self._settled("POST", "/api/v1/contexts", {"scope": "global"})
                if status != httpx.codes.CREATED:
                    return
                self.record.context = str(body["id"])
        context, place = self.record.context, f"k{uuid.uuid4().hex}"
        status, _ = await self._settled("PUT", f"/api/v1/contexts/{context}/keys/{place}", {"value": 1})
        if status == httpx.codes.OK:
            self.record.written.setdefault(context, set()).add(place)

    async def talk(self) -> None:
        """Say one more thing in the conversation, or begin one."""
        async with self._talking:
            words, key = f"What about {uuid.uuid4().hex}?", str(uuid.uuid4())
            self.record.turns.add(key)
            going_on = next(reversed(self.record.said), None)
            body: dict[str, JsonValue] = {"message": words}
            if going_on is not None:
                body["conversation_id"] = going_on
            status, answer = await self._settled("POST", f"/api/{self._owner}/chat", body, key=key)
            if status == httpx.codes.OK:
                self.record.said.setdefault(str(answer["conversation_id"]), []).append(words)

    async def _settled(
        self, method: str, path: str, body: Body | None = None, *, key: str | None = None, wait: int = 0
    ) -> Answer:
        """The first answer that is neither absent nor a passing refusal."""
        headers = {"Idempotency-Key": key or str(uuid.uuid4()), **({"Prefer": f"wait={wait}"} if wait else {})}
        while True:
            status, answer = await self._send(method, path, json=body, headers=headers)
            passing = status >= httpx.codes.INTERNAL_SERVER_ERROR and status not in _OF_THE_TURN
            if status and not passing and status != httpx.codes.TOO_MANY_REQUESTS:
                return status, answer
            await asyncio.sleep(_AGAIN_AFTER)
