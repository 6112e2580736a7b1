"""Work for outside agents under the real keeper and runtime: queued as policy shows it, stopped at once, removed."""

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest
from nats.aio.client import Client
from nats.js.api import StreamInfo
from nats.js.errors import NotFoundError
from pydantic import SecretStr

from consumers._feed import Feed
from consumers._runtime import Flow
from consumers.dispatch import Dispatch, Stops
from deploy.local.server import Server
from events import ContextChange, Event, EventData, TaskControl, WorkAssigned, WorkStopped
from events.codec import decode
from events.context import ContextOp
from events.ids import new_id
from events.streams import DISPATCH
from events.work import stop_subject, work_durable, work_subject
from producers.work_queues import WorkQueues
from storage.database import DatabaseSettings
from storage.lookup import PostgresLookup
from tests.support.eventually import eventually
from tests.support.registering import NAME, about, leaving, offer
from tests.support.running_keeper import Bus, a_bus, checked, decided, started


@pytest.fixture
async def lookup(database_url: str) -> AsyncGenerator[PostgresLookup]:
    async with PostgresLookup(DatabaseSettings(database_url=SecretStr(database_url))) as lookup:
        yield lookup


@pytest.fixture
async def bus(module_nats_server: Server, database_url: str, lookup: PostgresLookup) -> AsyncGenerator[Bus]:
    async with a_bus(module_nats_server.url, database_url) as bus:
        await bus.keeper()
        await Stops(bus.client).listen()
        feed = Feed(bus.client, bus.publisher, Flow(DISPATCH, Dispatch(lookup, WorkQueues(bus.client)).hand_out))
        feeding = asyncio.create_task(feed.run())
        await bus.publisher.publish(about(offer()))
        await eventually(lambda: queue_exists(bus), within=10)
        yield bus
        feeding.cancel()
        await asyncio.wait({feeding})


async def queue_exists(bus: Bus) -> bool:
    try:
        await bus.client.jetstream().consumer_info("WORK", work_durable("t", NAME))
    except NotFoundError:
        return False
    return True


async def work(bus: Bus) -> StreamInfo:
    return await bus.client.jetstream().stream_info("WORK")


async def assigned(
    bus: Bus, agent: str = NAME, redacted: dict[str, str] | None = None, **spec: object
) -> Event[EventData]:
    cause = await bus.submit("The card is 4111 1111 1111 1111.", metadata={"note": "call 0171 secret"}, **spec)
    await bus.say(cause, checked(cause, "redact" if redacted else "allow", redacted=redacted))
    await bus.say(cause, decided(cause).model_copy(update={"agent_id": agent}))
    await bus.enters(cause.taskid, "assigned")
    return cause


async def test_an_assignment_is_in_the_agents_queue_as_policy_shows_it(bus: Bus) -> None:
    redacted = {"goal": "The card is [CARD_1].", "metadata/note": "call [PHONE_1]"}
    cause = await assigned(bus, redacted=redacted)
    pull = await bus.client.jetstream().pull_subscribe_bind(durable=work_durable("t", NAME), stream="WORK")
    (message,) = await pull.fetch(1, timeout=10)
    assert message.subject == work_subject("t", NAME)
    event = decode(message.data, message.headers)
    assert isinstance(event.data, WorkAssigned)
    assert (event.data.prompt, event.data.metadata) == ("The card is [CARD_1].", {"note": "call [PHONE_1]"})
    assert (event.taskid, event.data.attempt, event.correlationid) == (cause.taskid, 1, cause.id)
    assert b"4111" not in message.data
    assert b"0171" not in message.data


async def test_an_agent_is_given_its_owners_contexts_as_they_are_by_then(bus: Bus) -> None:
    mine, foreign = new_id(), new_id()
    for context_id, owner in ((mine, "o"), (foreign, "p")):
        made = ContextChange(context_id=context_id, action="create", by=owner, scope="global", data={"a": 1})
        await bus.publisher.publish(Event.first(made, source="/gateway", tenant="t", owner=owner))
    step = ContextOp(op="set", path="b", value=None)
    changed = ContextChange(context_id=mine, action="change", by="o", ops=(step,))
    await bus.publisher.publish(Event.first(changed, source="/gateway", tenant="t", owner="o"))
    refs = ("https://example.org", f"context:{mine}", f"context:{foreign}")
    await assigned(bus, context={"refs": refs})
    pull = await bus.client.jetstream().pull_subscribe_bind(durable=work_durable("t", NAME), stream="WORK")
    (message,) = await pull.fetch(1, timeout=10)
    data = decode(message.data, message.headers).data
    assert isinstance(data, WorkAssigned)
    assert data.context.refs == refs
    shown, left_out = data.contexts
    assert (shown.ref, shown.scope, shown.version, shown.data) == (refs[1], "global", 2, {"a": 1, "b": None})
    assert (left_out.ref, left_out.data) == (refs[2], None)
    assert left_out.note


async def test_what_is_an_agents_of_ours_goes_to_no_queue(bus: Bus) -> None:
    await assigned(bus, "extractive")
    await assigned(bus)
    await eventually(lambda: has_messages(bus, 1), within=10)
    assert (await work(bus)).state.messages == 1


async def has_messages(bus: Bus, count: int) -> bool:
    return (await work(bus)).state.messages == count


async def test_what_agents_have_settled_makes_room_and_what_they_have_not_stays(bus: Bus) -> None:
    js = bus.client.jetstream()
    pull = await js.pull_subscribe_bind(durable=work_durable("t", NAME), stream="WORK")
    for _ in range(3):
        await assigned(bus)
        (message,) = await pull.fetch(1, timeout=10)
        await message.ack_sync()
    held, waiting = await assigned(bus), await assigned(bus)
    (message,) = await pull.fetch(1, timeout=10)
    await eventually(lambda: has_messages(bus, 5), within=10)
    queues, full = WorkQueues(bus.client), await work(bus)
    await js.update_stream(replace(full.config, max_bytes=full.state.bytes + 100))
    for _ in range(2):
        await queues.purge()
        assert (await work(bus)).state.messages == 2
    last = await assigned(bus)
    await eventually(lambda: has_messages(bus, 3), within=10)
    await message.ack_sync()
    tasks = [decode(one.data, one.headers).taskid for one in (message, *await pull.fetch(2, timeout=10))]
    assert tasks == [held.taskid, waiting.taskid, last.taskid]


async def test_an_agent_hears_within_a_second_that_its_run_is_over(bus: Bus) -> None:
    heard: asyncio.Queue[WorkStopped] = asyncio.Queue()

    async def hear(message: object) -> None:
        data = decode(message.data).data  # type: ignore[attr-defined]  # a message of nats-py
        assert isinstance(data, WorkStopped)
        heard.put_nowait(data)

    await bus.client.subscribe(stop_subject("t", NAME), cb=hear)
    cause = await assigned(bus)
    assert cause.taskid is not None
    await bus.say(cause, started(cause, agent_id=NAME))
    await bus.enters(cause.taskid, "running")
    await bus.say(cause, TaskControl(task_id=cause.taskid, action="cancel", by="o"))
    async with asyncio.timeout(1):
        stopped = await heard.get()
    assert (stopped.task_id, stopped.attempt, stopped.reason) == (cause.taskid, 1, "cancelled_by_owner")


async def test_a_queue_goes_with_its_agent_and_comes_back_with_the_next_assignment(bus: Bus) -> None:
    await bus.client.jetstream().delete_consumer("WORK", work_durable("t", NAME))
    await assigned(bus)
    await eventually(lambda: queue_exists(bus), within=10)
    await bus.publisher.publish(about(leaving()))
    await eventually(lambda: is_gone(bus), within=10)


class HeldUp(WorkQueues):
    """Queues of one who is held up just before it would remove one."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self.reached, self.may_go = asyncio.Event(), asyncio.Event()

    async def remove(self, tenant: str, agent_id: str, **more: int) -> None:
        self.reached.set()
        await self.may_go.wait()
        await super().remove(tenant, agent_id, **more)


async def heard_of(bus: Bus, kind: str) -> Event[EventData]:
    """The last event of this type."""
    found = [said for _, said in await bus.stream() if said["type"] == f"io.ganglion.agent.{kind}.v1"]
    return decode(json.dumps(found[-1]).encode())


@pytest.mark.parametrize("late", ["heard of late", "held up while it removes the queue"])
async def test_who_registers_again_at_once_keeps_its_queue_and_what_is_in_it(
    bus: Bus, lookup: PostgresLookup, late: str
) -> None:
    """Though somebody else of us hears only now that it is gone."""
    queues = HeldUp(bus.client)
    slow = Dispatch(lookup, queues)
    await bus.publisher.publish(about(leaving()))
    await eventually(lambda: is_gone(bus), within=10)
    removing = None
    if late == "heard of late":
        queues.may_go.set()
    else:
        removing = asyncio.create_task(slow.hand_out(await heard_of(bus, "gone")))
        await queues.reached.wait()
    await bus.publisher.publish(about(offer()))
    await eventually(lambda: queue_exists(bus), within=10)
    cause = await assigned(bus)
    await eventually(lambda: has_messages(bus, 1), within=10)
    queues.may_go.set()
    await (removing or slow.hand_out(await heard_of(bus, "gone")))
    pull = await bus.client.jetstream().pull_subscribe_bind(durable=work_durable("t", NAME), stream="WORK")
    (message,) = await pull.fetch(1, timeout=10)
    assert decode(message.data, message.headers).taskid == cause.taskid


async def test_who_is_heard_of_late_and_gone_again_is_given_no_queue(bus: Bus, lookup: PostgresLookup) -> None:
    await bus.publisher.publish(about(leaving()))
    await eventually(lambda: is_gone(bus), within=10)
    await Dispatch(lookup, WorkQueues(bus.client)).hand_out(await heard_of(bus, "active"))
    assert not await queue_exists(bus)


async def is_gone(bus: Bus) -> bool:
    return not await queue_exists(bus) and (await work(bus)).state.messages == 0
