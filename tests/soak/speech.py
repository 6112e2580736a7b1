"""A task that goes on for the whole soak and in which somebody always speaks, for those who listen."""

import asyncio
import random
from uuid import UUID, uuid4

from events.base import Event
from events.codec import encode
from events.ids import run_id
from events.run import RunDelta, RunFinished
from events.subjects import subject_of
from producers.connect import BusSettings, Connection
from tests.support.stack_parts import Parts

_WORDS = ("Once ", "upon ", "a ", "time ", "a gateway ", "was killed, ", "and nobody ", "noticed 🐝. ")


async def hold_a_stage(parts: Parts, owner: str, url: str) -> str:
    """A task of the owner that waits until somebody starts it, which nobody does."""
    async with parts.client(owner) as client:
        answer = await client.post(f"{url}/api/v1/tasks", json={"prompt": "Listen.", "hold": True})
        return str(answer.raise_for_status().json()["task_id"])


async def speak(parts: Parts, owner: str, task: str, dice: random.Random) -> None:
    """One execution after the other, each of some dozens of pieces, until cancelled."""
    settings = BusSettings.model_validate({"nats_url": parts.servers.nats_url})
    async with Connection(settings, "soak") as client:
        while True:
            execution, text = uuid4(), ""
            for number in range(dice.randrange(10, 60)):
                word = dice.choice(_WORDS)
                delta = _delta(task, execution, number + 1, len(text), word)
                event = Event.first(delta, source="/soak", tenant="acme", owner=owner, task_id=UUID(task))
                await client.jetstream().publish(subject_of(event), encode(event))
                text += word
                await asyncio.sleep(dice.uniform(0, 0.1))
            finished = _finished(task, execution, text)
            end = Event.first(finished, source="/soak", tenant="acme", owner=owner, task_id=UUID(task))
            await client.jetstream().publish(subject_of(end), encode(end))


def _delta(task: str, execution: UUID, number: int, offset: int, text: str) -> RunDelta:
    return RunDelta(
        run_id=run_id(UUID(task), 1),
        task_id=UUID(task),
        attempt=1,
        execution_id=execution,
        agent_id="speaker",
        seq=number,
        offset=offset,
        text=text,
    )


def _finished(task: str, execution: UUID, text: str) -> RunFinished:
    return RunFinished(
        run_id=run_id(UUID(task), 1),
        task_id=UUID(task),
        attempt=1,
        execution_id=execution,
        agent_id="speaker",
        outcome="succeeded",
        output={"text": text},
    )
