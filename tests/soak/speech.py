"""A task that goes on for the whole soak and in which somebody always speaks, for those who listen."""

import asyncio
import random
from uuid import UUID, uuid4

import httpx
import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError

from events.base import Event, EventData
from events.codec import encode
from events.ids import run_id
from events.run import RunDelta, RunFinished
from events.subjects import subject_of
from producers.connect import BusSettings, Connection
from tests.support.eventually import eventually
from tests.support.stack_parts import Parts

log = structlog.get_logger()

_WORDS = ("Once ", "upon ", "a ", "time ", "a gateway ", "was killed, ", "and nobody ", "noticed 🐝. ")
_PATIENCE = 5.0
AGAIN = 0.2
"""Seconds before a publish that was not answered is repeated."""


async def hold_a_stage(parts: Parts, owner: str, url: str) -> str:
    """A task of the owner that waits until somebody starts it, which nobody does; asked for until it is taken."""
    key = {"Idempotency-Key": uuid4().hex}
    async with parts.client(owner) as client:

        async def taken() -> str:
            answer = await client.post(f"{url}/api/v1/tasks", json={"prompt": "Listen.", "hold": True}, headers=key)
            assert answer.status_code == httpx.codes.ACCEPTED, (
                answer.text
            )  # a late keeper's gateway refuses for a while
            return str(answer.json()["task_id"])

        return await eventually(taken, within=10, every=0.2)


async def speak(parts: Parts, owner: str, task: str, dice: random.Random) -> None:
    """One execution after the other, each of some dozens of pieces, until cancelled."""
    settings = BusSettings.model_validate({"nats_url": parts.servers.nats_url})
    async with Connection(settings, "soak") as client:
        while True:
            execution, text = uuid4(), ""
            for number in range(dice.randrange(10, 60)):
                word = dice.choice(_WORDS)
                delta = _delta(task, execution, number + 1, len(text), word)
                await publish(client, _event(delta, owner, task))
                text += word
                await asyncio.sleep(dice.uniform(0, 0.1))
            await publish(client, _event(_finished(task, execution, text), owner, task))


async def publish(client: Client, event: Event[EventData]) -> None:
    """Until the stream has it. A repeat carries the same id, so whoever reads is shown it once."""
    body, headers = encode(event), {"Nats-Msg-Id": str(event.id)}
    while True:
        try:
            await client.jetstream(timeout=_PATIENCE).publish(subject_of(event), body, headers=headers)
        except (NatsError, TimeoutError) as error:
            log.info("speaker_repeats", error=type(error).__name__)
            await asyncio.sleep(AGAIN)
        else:
            return


def _event(data: EventData, owner: str, task: str) -> Event[EventData]:
    return Event.first(data, source="/soak", tenant="acme", owner=owner, task_id=UUID(task))


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
