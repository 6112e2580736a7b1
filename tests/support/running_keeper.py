"""A real keeper, or several, on a real bus, and everything a test says and asks around it."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg
import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.errors import NotFoundError
from pydantic import SecretStr

from consumers._time_slices import TimeSlices
from consumers.keeper.consumer import Keeper, KeeperSettings
from events import (
    Event,
    EventData,
    RouteDecided,
    RunFinished,
    RunStarted,
    Status,
    TaskChecked,
    TaskSpec,
    TaskSubmitted,
)
from events.codec import encode
from events.ids import derived_id, new_id, run_id
from events.subjects import COMMITTED, subject_of
from producers.client import BusClient
from producers.publisher import Publisher
from producers.topology import apply
from storage.database import DatabaseSettings
from tests.support.eventually import eventually

AGENT = "extractive"


async def _silent(_: Exception) -> None:
    """Failures are what these tests are about."""


async def connect(url: str) -> Client:
    """A client that comes back quickly and quietly."""
    client = BusClient()
    await client.connect(url, max_reconnect_attempts=-1, reconnect_time_wait=0, error_cb=_silent)
    return client


async def delete_streams(client: Client) -> None:
    """Leave the server as it was found."""
    js = client.jetstream()
    for info in await js.streams_info():
        await js.delete_stream(str(info.config.name))


@dataclass
class Led:
    """One keeper that runs as a task of this process."""

    keeper: Keeper
    publisher: Publisher
    client: Client
    task: "asyncio.Task[None]"

    @property
    def leads(self) -> bool:
        return self.keeper.term is not None

    async def stop(self) -> None:
        """As SIGTERM would: the lease is given back."""
        while not self.task.done():
            self.task.cancel()
            await asyncio.wait({self.task}, timeout=2)
        with contextlib.suppress(asyncio.CancelledError):
            self.task.result()

    async def die(self) -> None:
        """As SIGKILL would: the lease is not given back, and nothing more is sent."""
        self.keeper.holder = "?"
        if self.keeper.term is not None:
            self.keeper.term._lease._store.holder = "?"
        await self.stop()


@dataclass
class Bus:
    """The bus and the database of one test."""

    nats_url: str
    database_url: str
    client: Client
    publisher: Publisher
    database: "asyncpg.Connection[asyncpg.Record]"
    opened: AsyncExitStack
    announced: dict[str, str] = field(default_factory=dict)

    async def keeper(
        self,
        *,
        sweep: bool = False,
        silent_after: float = 90.0,
        slices: TimeSlices | None = None,
        nats_url: str | None = None,
    ) -> Led:
        """One more keeper, with connections of its own."""
        client = await connect(nats_url or self.nats_url)
        self.opened.push_async_callback(client.close)
        publisher = await self.opened.enter_async_context(Publisher(client))
        settings = DatabaseSettings(database_url=SecretStr(self.database_url))
        keeper = Keeper(client, publisher, settings, KeeperSettings(sweep=sweep, silent_after=silent_after), slices)
        led = Led(keeper, publisher, client, asyncio.create_task(keeper.run()))
        self.opened.push_async_callback(led.stop)
        return led

    async def submit(self, prompt: str = "Summarise it.", **spec: object) -> Event[EventData]:
        """Publish a task.submitted."""
        event = submitted(prompt, **spec)
        await self.publisher.publish(event)
        return event

    async def say(
        self, cause: Event[EventData], data: EventData, *, seed: str | None = None, source: str = "/consumers/test"
    ) -> Event[EventData]:
        """Publish a fact as the consumers would."""
        event = cause.caused(data, source=source, seed=seed)
        await self.publisher.publish(event)
        return event

    async def again(self, event: Event[EventData]) -> None:
        """Publish the same event past the stream's own memory of ids."""
        await (await self.publisher.send_bytes(subject_of(event), encode(event), str(new_id())))

    async def run_through(self, cause: Event[EventData], *, execution: UUID | None = None) -> None:
        """All the facts of a task that goes well, in one go, whether or not the keeper is there yet."""
        for data in facts_of(cause, execution):
            await self.say(cause, data)

    async def status(self, task_id: UUID | None) -> Status | None:
        found: Status | None = await self.database.fetchval("SELECT status FROM task WHERE id = $1", task_id)
        return found

    async def enters(self, task_id: UUID | None, status: Status, *, within: float = 15.0) -> None:
        async def entered() -> bool:
            found = await self.status(task_id)
            assert found == status, found
            return True

        await eventually(entered, within=within)

    async def folded(self, *, within: float = 15.0) -> None:
        """The keeper is at the end of the log, and nothing is left to publish."""

        async def done() -> bool:
            last = (await self.client.jetstream().stream_info("BUS")).state.last_seq
            seen = await self.database.fetchrow("SELECT position, (SELECT count(*) FROM outbox) FROM keeper")
            assert seen is not None
            assert tuple(seen) == (last, 0), f"position {seen[0]} of {last}, {seen[1]} in the outbox"
            return True

        await eventually(done, within=within)

    async def settled(self, durable: str = "probe", left: int = 0) -> bool:
        """Whether a consumer was given all that is for it, and acknowledged or ended all of that but `left`.

        That none is pending does not say so alone: a message is in the stream a moment before it is counted.
        """
        js = self.client.jetstream()
        config = (await js.consumer_info("BUS", durable)).config
        last = 0
        for subject in config.filter_subjects or [str(config.filter_subject)]:
            with contextlib.suppress(NotFoundError):
                last = max(last, (await js.get_last_msg("BUS", subject)).seq or 0)
        info = await js.consumer_info("BUS", durable)
        given = info.delivered is not None and info.delivered.stream_seq >= last
        return given and (info.num_pending, info.num_ack_pending) == (0, left)

    async def outcome(self, event: Event[EventData]) -> str | None:
        found: str | None = await self.database.fetchval("SELECT outcome FROM event_log WHERE id = $1", event.id)
        return found

    async def stream(self) -> list[tuple[int, dict[str, object]]]:
        """All that is on the bus, in order; bytes that are no JSON as an empty event."""
        found: list[tuple[int, dict[str, object]]] = []
        for message in await stored(self.client, "BUS"):
            with contextlib.suppress(orjson.JSONDecodeError):
                found.append((int((message.headers or {})["Nats-Sequence"]), orjson.loads(message.data)))
        return found

    async def states(self, task_id: UUID | None) -> list[str]:
        """The states announced for a task, in the order of the log."""
        return [
            str(event["type"]).split(".")[3]
            for _, event in await self.stream()
            if event.get("source") == "/keeper" and event.get("subject") == str(task_id)
        ]


async def stored(client: Client, stream: str) -> list[Msg]:
    """All messages of a stream that lets itself be read directly, in order, with one question for many of them."""
    inbox, found = client.new_inbox(), list[Msg]()
    answers = await client.subscribe(inbox)
    begin = 1
    while True:
        await client.publish(f"$JS.API.DIRECT.GET.{stream}", orjson.dumps({"seq": begin, "batch": 500}), inbox)
        while "Status" not in (told := (message := await answers.next_msg(10)).headers or {}):
            found.append(message)
            begin = int(told["Nats-Sequence"]) + 1
        if told["Status"] != "204" or told.get("Nats-Num-Pending", "0") == "0":
            assert told["Status"] in {"204", "404"}, told  # the end of these, or there is nothing more
            await answers.unsubscribe()
            return found


@asynccontextmanager
async def a_bus(nats_url: str, database_url: str) -> AsyncGenerator[Bus]:
    """Streams applied, nobody reading them yet; everything started through it is stopped afterwards."""
    async with AsyncExitStack() as opened:
        client = await connect(nats_url)
        opened.push_async_callback(client.close)
        opened.push_async_callback(delete_streams, client)
        await apply(client)
        publisher = await opened.enter_async_context(Publisher(client))
        database = await asyncpg.connect(database_url)
        opened.push_async_callback(database.close)
        bus = Bus(nats_url, database_url, client, publisher, database, opened)

        async def hear(message: Msg) -> None:
            bus.announced.update(orjson.loads(message.data)["outcomes"])

        await client.subscribe(COMMITTED, cb=hear)
        yield bus


async def leading(bus: Bus, *, sweep: bool = False) -> Led:
    """A keeper that leads already."""
    led = await bus.keeper(sweep=sweep)
    await eventually(lambda: led.leads, within=15)
    return led


async def epoch(bus: Bus) -> str:
    """The epoch that is folded."""
    return str(await bus.database.fetchval("SELECT epoch FROM keeper"))


def submitted(prompt: str = "Summarise it.", **spec: object) -> Event[EventData]:
    """A task.submitted of its own task."""
    task_id = new_id()
    data = TaskSubmitted(task_id=task_id, spec=TaskSpec.model_validate({"prompt": prompt, **spec}))
    return Event.first(data, source="/gateway", tenant="t", owner="o", task_id=task_id)


def named(cause: Event[EventData], attempt: int = 1, execution: UUID | None = None) -> dict[str, object]:
    """What every fact of a run names."""
    task_id = cause.taskid
    assert task_id is not None
    return {
        "run_id": run_id(task_id, attempt),
        "task_id": task_id,
        "attempt": attempt,
        "execution_id": execution or derived_id(task_id, "execution", attempt),
        "agent_id": AGENT,
    }


def checked(cause: Event[EventData], decision: str = "allow", **more: object) -> TaskChecked:
    given = {"task_id": cause.taskid, "decision": decision, "rules_version": "1", **more}
    return TaskChecked.model_validate(given)


def decided(cause: Event[EventData], attempt: int = 1) -> RouteDecided:
    assert cause.taskid is not None
    return RouteDecided(task_id=cause.taskid, attempt=attempt, agent_id=AGENT, score=1.0, reason="the only one")


def started(cause: Event[EventData], **more: object) -> RunStarted:
    return RunStarted.model_validate({**named(cause), **more})


def finished(cause: Event[EventData], outcome: object = "succeeded", **more: object) -> RunFinished:
    return RunFinished.model_validate({**named(cause), "outcome": outcome, "output": {"text": "done"}, **more})


def facts_of(cause: Event[EventData], execution: UUID | None = None) -> list[EventData]:
    """What is said of a task that goes well."""
    own: dict[str, object] = {"execution_id": execution} if execution else {}
    return [checked(cause), decided(cause), started(cause, **own), finished(cause, "succeeded", **own)]
