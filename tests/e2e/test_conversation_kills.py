"""kill -9 of gateway, keeper and runner in the middle of turns: each conversation ends in one correct history.

Every turn is repeated with its key until it is answered, as a client would; then only the histories are looked at.
"""

import asyncio
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import cast

import httpx
import pytest

from tests.support import kill_points as points
from tests.support.eventually import eventually
from tests.support.promises import a_promise
from tests.support.stack_parts import Parts

Message = dict[str, object]

_AGAIN = {0, 503}
"""No answer at all, or one that says to come back."""


@dataclass
class Speaker:
    """One user with one conversation."""

    owner: str
    client: httpx.AsyncClient
    conversation: str | None = None
    said: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    async def say(self, text: str) -> None:
        """Say it, again and again with the same key, until it is answered."""
        key, body = {"Idempotency-Key": uuid.uuid4().hex}, {"message": text, "conversation_id": self.conversation}
        while True:
            status, answer = await self._post(body, key)
            self.statuses.append(status)
            if status == 200:
                self.conversation = str(answer["conversation_id"])
                return
            if status == 202:
                self.conversation = str(answer["conversation_id"])
                await eventually(lambda: self._is_answered(text), within=40, every=0.1)
                return
            assert status in _AGAIN, (status, answer)
            await asyncio.sleep(0.1)

    async def talk(self, turns: int) -> None:
        """One turn after the other."""
        for number in range(turns):
            text = f"Turn {number} of {self.owner}."
            self.said.append(text)
            await self.say(text)

    async def history(self) -> list[Message]:
        answer = await self.client.get(f"/api/{self.owner}/conversations/{self.conversation}/history")
        assert answer.status_code == 200, answer.text
        return cast("list[Message]", answer.json()["messages"])

    async def _is_answered(self, text: str) -> bool:
        told = [str(message["content"]) for message in await self.history()]
        return text in told and told.index(text) + 1 < len(told)

    async def _post(self, body: dict[str, str | None], key: dict[str, str]) -> tuple[int, Message]:
        try:
            answer = await self.client.post(f"/api/{self.owner}/chat", json=body, headers=key)
        except httpx.TransportError:
            return 0, {}
        return answer.status_code, answer.json()


def proved(history: list[Message], said: list[str]) -> None:
    """Dense numbers; user, assistant, user, assistant; nothing lost, doubled or in another order."""
    with a_promise():
        assert [message["seq"] for message in history] == list(range(1, len(history) + 1))
        assert [message["content"] for message in history if message["role"] == "user"] == said
    assert [message["role"] for message in history] == ["user", "assistant"] * len(said)
    for asked, answered in zip(history[::2], history[1::2], strict=True):
        assert asked["task_id"] == answered["task_id"]
        assert asked["turn_status"] == "succeeded"


async def _die(parts: Parts, point: str, role: str) -> None:
    parts.points.arm(point)
    await parts.died(role)
    await parts.start(role)


async def _lose_the_runner(parts: Parts) -> None:
    parts.points.arm(points.AGENT_HANGS)
    await eventually(lambda: not parts.points.is_armed(points.AGENT_HANGS), within=20)
    await parts.kill("runner")
    await parts.start("runner")


DEATHS: dict[str, Callable[[Parts], Coroutine[object, object, None]]] = {
    "gateway": lambda parts: _die(parts, points.GATEWAY_AFTER_ACK, "gateway"),
    "keeper before it published": lambda parts: _die(parts, points.BEFORE_PUBLISH, "keeper"),
    "keeper after it published": lambda parts: _die(parts, points.AFTER_PUBLISH, "keeper"),
    "runner": _lose_the_runner,
}


@pytest.mark.parametrize("death", DEATHS)
async def test_a_death_in_the_middle_of_turns_leaves_one_correct_history_each(parts: Parts, death: str) -> None:
    owners = [f"o-{uuid.uuid4().hex[:12]}" for _ in range(3)]
    speakers = [Speaker(owner, parts.client(owner)) for owner in owners]
    try:
        await asyncio.gather(*(speaker.talk(1) for speaker in speakers))
        dying = asyncio.create_task(DEATHS[death](parts))
        await asyncio.gather(*(_go_on(speaker, dying) for speaker in speakers))
        for speaker in speakers:
            proved(await speaker.history(), speaker.said)
    finally:
        await asyncio.gather(*(speaker.client.aclose() for speaker in speakers))


async def _go_on(speaker: Speaker, dying: "asyncio.Task[None]") -> None:
    """Talk until the death is over, and a little longer."""
    number = 1
    while not dying.done() or number < 4:
        text = f"Turn {number} of {speaker.owner}."
        speaker.said.append(text)
        await speaker.say(text)
        number += 1
    dying.result()


async def test_a_queue_of_turns_outlives_the_death_of_everybody(parts: Parts) -> None:
    owner = f"o-{uuid.uuid4().hex[:12]}"
    async with parts.client(owner) as client:
        speaker = Speaker(owner, client)
        await speaker.talk(1)
        texts = [f"Burst {number}." for number in range(20)]
        talking = asyncio.gather(*(speaker.say(text) for text in texts))
        await eventually(lambda: _has(speaker, 5), within=20)
        for role in ("keeper", "runner", "gateway"):
            await parts.kill(role)
        for role in ("keeper", "runner", "gateway"):
            await parts.start(role)
        await talking
        history = await speaker.history()
        asked = [str(message["content"]) for message in history[::2]]
        assert sorted(asked[1:]) == sorted(texts)
        proved(history, asked)


async def _has(speaker: Speaker, messages: int) -> bool:
    try:
        return len(await speaker.history()) >= messages
    except httpx.TransportError:
        return False
