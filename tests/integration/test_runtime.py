"""The runtime on a real bus: what happens to a message when its consumer works, fails, hangs or is stopped."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from consumers._feed import Feed
from consumers._runtime import Flow, Slots
from deploy.local.server import Server
from events import Event, EventData, RunStarted, TaskChecked, TaskSubmitted
from events.codec import encode
from events.errors import InvalidEventError, StoreUnavailableError
from events.ids import derived_id, new_id
from events.letter import DeadLetter
from events.streams import Durable
from events.subjects import subject_of
from producers.letters import LetterBox
from producers.topology import consumer_config, epoch_of
from tests.support.eventually import eventually
from tests.support.running_keeper import Bus, a_bus, checked, decided, named, submitted

OUTPUTS = (TaskChecked, RunStarted)
FLOW = Durable("probe", (TaskSubmitted,), outputs=OUTPUTS, ack_wait=2.0, max_deliver=3, retry=(0.2, 0.4))
SLOTS = Durable("probe", (TaskSubmitted,), outputs=OUTPUTS, ack_wait=0.9, max_deliver=3, retry=(0.2, 0.4), slots=2)


@pytest.fixture
async def bus(module_nats_server: Server, database_url: str) -> AsyncGenerator[Bus]:
    async with a_bus(module_nats_server.url, database_url) as bus:
        yield bus


@dataclass
class Calls:
    """When the handler was called, and with what."""

    times: list[float] = field(default_factory=list)
    events: list[Event[EventData]] = field(default_factory=list)
    running: int = 0
    most: int = 0

    def note(self, event: Event[EventData]) -> None:
        self.times.append(time.monotonic())
        self.events.append(event)


async def nothing() -> None:
    """Nothing to start."""


@asynccontextmanager
async def fed(bus: Bus, consumer: Flow | Slots) -> AsyncGenerator[Feed]:
    """A consumer that runs."""
    await bus.client.jetstream().add_consumer("BUS", consumer_config(consumer.durable))
    feed = Feed(bus.client, bus.publisher, consumer)
    running = asyncio.create_task(feed.run())
    try:
        yield feed
    finally:
        running.cancel()
        await asyncio.wait({running})


async def others(bus: Bus) -> list[dict[str, object]]:
    """What was published besides the submitted tasks."""
    return [event for _, event in await bus.stream() if event["type"] != "io.ganglion.task.submitted.v1"]


async def letters(bus: Bus) -> list[DeadLetter]:
    kept, _ = await LetterBox(bus.client).page("t", consumer=None, after=0, limit=100)
    return [one.letter for one in kept]


async def test_outputs_are_published_and_the_message_is_settled(bus: Bus) -> None:
    async def check(event: Event[EventData]) -> Sequence[EventData]:
        return [checked(event)]

    async with fed(bus, Flow(FLOW, check)):
        causes = [await bus.submit(f"Task {number}") for number in range(50)]
        await eventually(bus.settled, within=15)
    told = await others(bus)
    assert [event["causationid"] for event in told] == [cause.id for cause in causes]
    assert {event["source"] for event in told} == {"/consumers/probe"}
    assert told[0]["id"] == str(derived_id(causes[0].id, "/consumers/probe", "checked", 0))


async def test_a_passing_failure_is_tried_again_after_its_delays_and_never_in_a_hot_loop(bus: Bus) -> None:
    calls = Calls()

    async def fail_twice(event: Event[EventData]) -> Sequence[EventData]:
        calls.note(event)
        if len(calls.times) < 3:
            raise StoreUnavailableError
        return [checked(event)]

    async with fed(bus, Flow(FLOW, fail_twice)):
        await bus.submit()
        await eventually(bus.settled, within=15)
    waits = [later - earlier for earlier, later in pairwise(calls.times)]
    assert len(waits) == 2
    assert waits[0] >= 0.19
    assert waits[1] >= 0.39
    assert len(await others(bus)) == 1
    assert await letters(bus) == []


async def test_the_last_delivery_ends_the_task_and_leaves_a_letter(bus: Bus) -> None:
    calls = Calls()

    async def fail(event: Event[EventData]) -> Sequence[EventData]:
        calls.note(event)
        raise RuntimeError("a secret in a message")

    async with fed(bus, Flow(FLOW, fail)):
        cause = await bus.submit()
        await eventually(lambda: len(calls.times) == 3, within=15)
        await eventually(bus.settled, within=15)
    assert len(calls.times) == 3
    (control,) = await others(bus)
    assert control["subject"] == str(cause.taskid)
    data = control["data"]
    assert isinstance(data, dict)
    assert (data["action"], data["reason"], data["by"]) == ("fail", "dead_lettered", "/consumers/probe")
    (letter,) = await letters(bus)
    assert (letter.consumer, letter.event_id, letter.deliveries) == ("probe", cause.id, 3)
    assert (letter.task_id, letter.tenant, letter.owner) == (cause.taskid, "t", "o")
    assert letter.cursor == f"{await epoch_of(bus.client)}-1"
    assert letter.body is None
    assert "secret" not in letter.model_dump_json() + json.dumps(control)


async def test_a_permanent_failure_is_buried_at_once(bus: Bus) -> None:
    calls = Calls()

    async def refuse(event: Event[EventData]) -> Sequence[EventData]:
        calls.note(event)
        raise InvalidEventError

    with capture_logs() as logged:
        async with fed(bus, Flow(FLOW, refuse)):
            cause = await bus.submit()
            await eventually(bus.settled, within=15)
    assert len(calls.times) == 1
    assert [letter.reason for letter in await letters(bus)] == ["invalid_event"]
    (line,) = [line for line in logged if line["event"] == "consumer_failed"]
    assert (line["code"], line["event_id"], line["task_id"]) == ("invalid_event", cause.id, str(cause.taskid))


async def test_what_a_consumer_does_not_declare_it_cannot_say(bus: Bus) -> None:
    async def overreach(event: Event[EventData]) -> Sequence[EventData]:
        return [checked(event), decided(event)]

    async with fed(bus, Flow(FLOW, overreach)):
        await bus.submit()
        await eventually(bus.settled, within=15)
    (letter,) = await letters(bus)
    assert letter.reason == "undeclared_output"
    assert {event["type"] for event in await others(bus)} == {"io.ganglion.task.control.v1"}


async def test_bytes_that_are_no_event_are_buried_with_their_bytes(bus: Bus) -> None:
    async def never(_: Event[EventData]) -> Sequence[EventData]:
        raise AssertionError("it was no event")

    async with fed(bus, Flow(FLOW, never)):
        await (await bus.publisher.send_bytes("bus.t.task.submitted.0", b"{", "garbage"))
        await eventually(bus.settled, within=15)
    (letter,) = await letters(bus)
    assert (letter.event_id, letter.body, letter.undecoded) == (None, "ew==", b"{")


async def test_one_failure_in_a_batch_costs_nobody_else(bus: Bus) -> None:
    """Among them an output that is too large for the bus: it is the handler's fault, not its neighbours'."""

    async def check(event: Event[EventData]) -> Sequence[EventData]:
        assert isinstance(event.data, TaskSubmitted)
        if event.data.spec.prompt == "raises":
            raise InvalidEventError
        return [checked(event, reason="x" * (2_000_000 if event.data.spec.prompt == "large" else 1))]

    prompts = ["good", "raises", "good", "large", "good"]
    causes = [await bus.submit(prompt) for prompt in prompts]
    async with fed(bus, Flow(FLOW, check)):
        await eventually(bus.settled, within=15)
    told = [(event["causationid"], str(event["type"]).split(".")[3]) for event in await others(bus)]
    expected = ["control" if prompt in ("raises", "large") else "checked" for prompt in prompts]
    assert sorted(told) == sorted((cause.id, name) for cause, name in zip(causes, expected, strict=True))


async def test_a_batch_is_handled_in_one_go_and_one_by_one_if_one_of_it_spoils_it(bus: Bus) -> None:
    sizes: list[int] = []

    async def check(event: Event[EventData]) -> Sequence[EventData]:
        assert isinstance(event.data, TaskSubmitted)
        if event.data.spec.prompt == "raises":
            raise InvalidEventError
        return [checked(event)]

    async def check_all(events: Sequence[Event[EventData]]) -> list[Sequence[EventData]]:
        sizes.append(len(events))
        return [await check(event) for event in events]

    causes = [await bus.submit(prompt) for prompt in ["good", "good", "raises", "good"]]
    async with fed(bus, Flow(FLOW, check, batch=check_all)):
        await eventually(bus.settled, within=15)
        spoilt = await others(bus)
        causes += [await bus.submit("good") for _ in range(20)]
        await eventually(bus.settled, within=15)
    told = [(event["causationid"], str(event["type"]).split(".")[3]) for event in await others(bus)]
    assert sorted(told) == sorted((cause.id, "control" if cause is causes[2] else "checked") for cause in causes)
    assert len(spoilt) == 4
    assert sizes[0] > 1


async def test_an_effect_on_something_else_keeps_its_own_envelope(bus: Bus) -> None:
    other = submitted(prompt="another task")

    async def check(event: Event[EventData]) -> Sequence[Event[EventData]]:
        return [other.caused(checked(other), source="/consumers/probe", seed=event.id)]

    async with fed(bus, Flow(FLOW, check)):
        cause = await bus.submit()
        await eventually(bus.settled, within=15)
    (told,) = await others(bus)
    assert (told["taskid"], told["id"]) == (
        str(other.taskid),
        str(derived_id(cause.id, "/consumers/probe", "checked", 0)),
    )


async def test_a_redelivery_publishes_the_same_ids(bus: Bus) -> None:
    async def check(event: Event[EventData]) -> Sequence[EventData]:
        return [checked(event), checked(event)]

    cause = submitted()
    async with fed(bus, Flow(FLOW, check)):
        for _ in range(2):
            await (await bus.publisher.send_bytes(subject_of(cause), encode(cause), str(new_id())))
        await eventually(bus.settled, within=15)
    told = [event["id"] for event in await others(bus)]
    assert len(told) == len(set(told)) == 2  # the stream itself dropped the repeats


async def test_a_fact_of_a_run_has_an_id_of_its_execution(bus: Bus) -> None:
    executions = [uuid4(), uuid4()]

    async def start(event: Event[EventData]) -> Sequence[EventData]:
        return [RunStarted.model_validate(named(event, execution=execution)) for execution in executions]

    async with fed(bus, Flow(FLOW, start)):
        await bus.submit()
        await eventually(bus.settled, within=15)
    expected = [str(derived_id(e, "/consumers/probe", "started", i)) for i, e in enumerate(executions)]
    assert [event["id"] for event in await others(bus)] == expected


async def test_long_work_is_done_once_and_by_no_more_hands_than_there_are(bus: Bus) -> None:
    calls = Calls()

    async def work(event: Event[EventData]) -> AsyncIterator[EventData]:
        calls.note(event)
        calls.running += 1
        calls.most = max(calls.most, calls.running)
        await asyncio.sleep(1.5)  # the work itself: longer than ack_wait
        calls.running -= 1
        yield checked(event)

    async with fed(bus, Slots(SLOTS, work, nothing)):
        for number in range(4):
            await bus.submit(f"Task {number}")
        await eventually(bus.settled, within=20)
    assert len(calls.events) == len({event.id for event in calls.events}) == 4
    assert calls.most == 2
    assert len(await others(bus)) == 4


async def test_quick_work_that_waits_long_for_its_turn_is_done_once_too(bus: Bus) -> None:
    """Many long texts, say: the last of them begins later than the server would wait for it."""
    calls = Calls()

    async def check(event: Event[EventData]) -> Sequence[EventData]:
        calls.note(event)
        await asyncio.sleep(0.1)  # the work itself
        return [checked(event)]

    causes = [await bus.submit(f"Task {number}") for number in range(30)]
    async with fed(bus, Flow(replace(FLOW, ack_wait=0.9), check)):
        await eventually(bus.settled, within=20)
    assert len(calls.events) == len(causes)


async def test_no_slot_stays_empty_beside_long_work(bus: Bus) -> None:
    done = asyncio.Event()
    calls = Calls()

    async def work(event: Event[EventData]) -> AsyncIterator[EventData]:
        calls.note(event)
        if len(calls.events) > 1:
            await done.wait()
        yield checked(event)

    slots = 8
    async with fed(bus, Slots(replace(SLOTS, slots=slots, ack_wait=10.0), work, nothing)):
        await bus.submit("Quick")
        await eventually(bus.settled)  # its slot is free again, and not asked for while others are
        for number in range(slots):
            await bus.submit(f"Long {number}")
        await eventually(lambda: len(calls.events) == 1 + slots)
        done.set()
        await eventually(bus.settled, within=15)


async def test_facts_of_slow_work_are_out_before_it_ends(bus: Bus) -> None:
    done = asyncio.Event()

    async def work(event: Event[EventData]) -> AsyncIterator[EventData]:
        yield RunStarted.model_validate(named(event))
        await done.wait()
        yield checked(event)

    async def told(count: int) -> bool:
        return len(await others(bus)) == count

    async with fed(bus, Slots(SLOTS, work, nothing)):
        await bus.submit()
        await eventually(lambda: told(1))
        assert not await bus.settled()
        done.set()
        await eventually(bus.settled)
        assert await told(2)


def test_what_a_worker_says_is_a_known_event() -> None:
    assert isinstance(checked(submitted()), TaskChecked)
