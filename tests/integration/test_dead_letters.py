"""What no consumer can deal with ends as one dead letter, costs its neighbours nothing, and never stops a consumer."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from consumers._feed import Feed
from consumers._pause import Pause
from consumers._runtime import Flow
from consumers.undertaker import Undertaker
from deploy.local.server import Server
from events import MAX_HOPS, Event, EventData, TaskChecked, TaskSubmitted
from events.errors import BusUnavailableError, InvalidEventError, LogFullError, StoreUnavailableError
from events.letter import DeadLetter
from events.streams import Durable
from producers.letters import LetterBox
from producers.publisher import Publisher
from producers.topology import consumer_config
from tests.support.eventually import eventually
from tests.support.running_keeper import Bus, a_bus, checked, connect, leading, submitted

OUTPUTS = (TaskChecked,)
HANGING = Durable("probe", (TaskSubmitted,), outputs=OUTPUTS, ack_wait=0.2, max_deliver=2)
DYING = Durable("probe", (TaskSubmitted,), outputs=OUTPUTS, ack_wait=0.4, max_deliver=6)
FAILING = Durable("probe", (TaskSubmitted,), outputs=OUTPUTS, ack_wait=2.0, max_deliver=8, retry=(0.1, 0.2))
KILLER = "the one that kills"


@pytest.fixture
async def bus(module_nats_server: Server, database_url: str) -> AsyncGenerator[Bus]:
    async with a_bus(module_nats_server.url, database_url) as bus:
        yield bus


@asynccontextmanager
async def undertaker(bus: Bus) -> AsyncIterator[None]:
    running = asyncio.create_task(Undertaker(bus.client, bus.publisher).run())
    try:
        yield
    finally:
        running.cancel()


@asynccontextmanager
async def fed(bus: Bus, consumer: Flow, pause: Pause | None = None) -> AsyncIterator[None]:
    """A consumer with a connection of its own; leaving the block is its death: what it has in hand stays unsettled."""
    client = await connect(bus.nats_url)
    async with Publisher(client) as publisher:
        running = asyncio.create_task(Feed(client, publisher, consumer, pause=pause).run())
        try:
            yield
        finally:
            running.cancel()
            await client.close()


async def letters(bus: Bus) -> list[DeadLetter]:
    kept, _ = await LetterBox(bus.client).page("t", consumer=None, after=0, limit=100)
    return [one.letter for one in kept]


async def controls(bus: Bus) -> list[tuple[object, object]]:
    """What was asked of tasks: the task and the reason."""
    data = [event["data"] for _, event in await bus.stream() if event["type"] == "io.ganglion.task.control.v1"]
    return [(one["task_id"], one["reason"]) for one in data if isinstance(one, dict)]


async def test_a_message_that_is_never_answered_ends_its_task_and_leaves_one_letter(bus: Bus) -> None:
    async def hang(_: Event[EventData]) -> Sequence[EventData]:
        await asyncio.Event().wait()
        raise AssertionError

    await bus.client.jetstream().add_consumer("BUS", consumer_config(HANGING))
    cause = await bus.submit()
    async with fed(bus, Flow(HANGING, hang)), undertaker(bus):
        (letter,) = await eventually(lambda: letters(bus), within=15)
        assert (letter.reason, letter.deliveries, letter.consumer) == ("max_deliveries", 2, "probe")
        assert (letter.event_id, letter.body) == (cause.id, None)
    assert await controls(bus) == [(str(cause.taskid), "dead_lettered")]


async def test_a_message_that_kills_its_consumer_every_time_is_buried_and_takes_no_neighbour_with_it(bus: Bus) -> None:
    died = asyncio.Event()

    async def die(event: Event[EventData]) -> Sequence[EventData]:
        assert isinstance(event.data, TaskSubmitted)
        if event.data.spec.prompt == KILLER:
            died.set()
            await asyncio.Event().wait()
        return [checked(event)]

    await bus.client.jetstream().add_consumer("BUS", consumer_config(DYING))
    causes = [await bus.submit(KILLER if number == 20 else "harmless") for number in range(40)]
    lives = 0
    async with undertaker(bus):
        while not await letters(bus):
            lives += 1
            died.clear()
            async with fed(bus, Flow(DYING, die)):
                await eventually(lambda: _died_or_buried(bus, died), within=15)
    assert lives >= DYING.max_deliver
    assert [letter.event_id for letter in await letters(bus)] == [causes[20].id]
    assert await controls(bus) == [(str(causes[20].taskid), "dead_lettered")]
    done = {event["causationid"] for _, event in await bus.stream() if str(event["type"]).endswith("checked.v1")}
    assert done == {cause.id for cause in causes} - {causes[20].id}


async def _died_or_buried(bus: Bus, died: asyncio.Event) -> bool:
    return died.is_set() or bool(await letters(bus))


class Broken:
    """A consumer that cannot do anything until it is mended."""

    def __init__(self, pause: Pause) -> None:
        self.pause = pause
        self.probes = 0
        self.is_broken = True

    async def __call__(self, event: Event[EventData]) -> Sequence[EventData]:
        self.probes += self.pause.probing
        if self.is_broken:
            raise StoreUnavailableError
        return [checked(event)]


async def send(bus: Bus, source: str, count: int) -> None:
    for _ in range(count):
        await bus.publisher.publish(submitted().model_copy(update={"source": source}))


async def test_a_consumer_that_fails_at_our_own_messages_pauses_and_loses_none(bus: Bus) -> None:
    await bus.client.jetstream().add_consumer("BUS", consumer_config(FAILING))
    pause = Pause(bus.client, FAILING, pauses=(0.5, 1.0))
    handler = Broken(pause)

    async def is_paused() -> bool:
        return bool((await bus.client.jetstream().consumer_info("BUS", "probe")).paused)

    async with fed(bus, Flow(FAILING, handler), pause):
        await send(bus, "/keeper", 60)
        await eventually(is_paused)
        await eventually(lambda: pause._in_a_row == 2)
        assert handler.probes == 1  # and it failed as well
        handler.is_broken = False
        await eventually(bus.settled, within=15)
    assert await letters(bus) == []
    assert len([event for _, event in await bus.stream() if str(event["type"]).endswith("checked.v1")]) == 60


async def test_what_comes_from_outside_never_makes_a_consumer_pause(bus: Bus) -> None:
    async def refuse(_: Event[EventData]) -> Sequence[EventData]:
        raise InvalidEventError

    await bus.client.jetstream().add_consumer("BUS", consumer_config(FAILING))
    pause = Pause(bus.client, FAILING)
    async with fed(bus, Flow(FAILING, refuse), pause):
        await send(bus, "/gateway", 30)
        await send(bus, "/partner/shop", 30)
        await eventually(bus.settled, within=15)
    assert not pause.due
    assert not pause.probing
    assert len(await letters(bus)) == 60


async def test_an_event_that_came_round_too_often_is_not_worked_on(bus: Bus) -> None:
    async def check(event: Event[EventData]) -> Sequence[EventData]:
        return [checked(event)]

    await bus.client.jetstream().add_consumer("BUS", consumer_config(FAILING))
    async with fed(bus, Flow(FAILING, check)):
        for hops in (MAX_HOPS, MAX_HOPS + 1):
            await bus.publisher.publish(submitted().model_copy(update={"hopcount": hops}))
        await eventually(bus.settled, within=15)
    assert [letter.reason for letter in await letters(bus)] == ["loop_detected"]
    said = [event for _, event in await bus.stream() if str(event["type"]).endswith("checked.v1")]
    assert [event["hopcount"] for event in said] == [MAX_HOPS + 1]


async def test_a_link_that_breaks_between_a_poisonous_event_and_its_letter_costs_no_letter(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    led = await leading(bus)
    send, failures = led.publisher.send_bytes, [BusUnavailableError()]

    async def cut_once(subject: str, *given: object, **more: object) -> object:
        if subject.startswith("dlq.") and failures:
            raise failures.pop()
        return await send(subject, *given, **more)  # type: ignore[arg-type]  # as it is called

    monkeypatch.setattr(led.publisher, "send_bytes", cut_once)
    await (await bus.publisher.send_bytes("bus.t.task.submitted.0", b"no event", "poison"))
    await bus.folded()
    assert not failures
    assert [(letter.consumer, letter.deliveries) for letter in await letters(bus)] == [("keeper", 1)]


async def test_a_stream_that_takes_no_letters_does_not_stop_the_keeper(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    led = await leading(bus)
    send = led.publisher.send_bytes

    failures = [InvalidEventError()]

    async def full(subject: str, *given: object, **more: object) -> object:
        if not subject.startswith("dlq."):
            return await send(subject, *given, **more)  # type: ignore[arg-type]  # as it is called
        if failures:
            raise failures.pop()
        refused: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        refused.set_exception(LogFullError())
        return refused

    monkeypatch.setattr(led.publisher, "send_bytes", full)
    await (await bus.publisher.send_bytes("bus.t.task.submitted.0", b"no event", "poison"))
    cause = await bus.submit()
    await bus.enters(cause.taskid, "submitted")
    assert led.leads
