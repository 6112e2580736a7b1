"""Every role of ours against a real server: it may do its own work, and nobody else's (reliability.md 4)."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import nats
import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.js.errors import NotFoundError
from pydantic import SecretStr

from deploy.local.servers import Servers
from events.base import CATALOGUE, EventData
from events.streams import BUS, DURABLES, WORK, Durable
from events.subjects import filters_for
from events.task import STATE_EVENTS, TaskAssigned, TaskControl, TaskSubmitted
from producers.connect import BusSettings
from producers.permissions import ADMIN, CALLOUT, GATEWAY, KEEPER, inbox_of, users
from producers.publisher import Publisher
from producers.pull import Pull
from producers.topology import apply
from tests.support.eventually import eventually
from tests.support.infrastructure import server_folder
from tests.support.nats_hello import LET_IN, REFUSED, hello
from tests.support.running_keeper import checked, submitted

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROLES = [role for role in users() if role != ADMIN]
CONSUMERS = [durable for durable in DURABLES if durable.stream == BUS.name]
_LAST = "the.last.one"
_SUBJECT = re.compile(r'"([^"]+)"')


@dataclass
class Intruder:
    """A connection as one role, and the subjects that the server refused it, as it says them."""

    client: Client
    refused: set[str] = field(default_factory=set)

    async def note(self, error: Exception) -> None:
        if found := _SUBJECT.search(str(error)):
            self.refused.add(found[1].lower())

    async def refused_of(self, *, publish: Iterable[str] = (), subscribe: Iterable[str] = ()) -> set[str]:
        """Which of these subjects the server refuses."""
        self.refused.clear()
        for subject in publish:
            await self.client.publish(subject, b"{}")
        for subject in subscribe:
            await self.client.subscribe(subject)
        await self.client.publish(_LAST, b"")  # nobody may; refusals come in the order of what was refused
        await eventually(lambda: _LAST in self.refused)
        return self.refused - {_LAST}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def servers() -> AsyncGenerator[Servers]:
    """A NATS of this module's own."""
    with server_folder() as folder:
        async with Servers(folder, postgres=False, valkey=False) as running:
            yield running


@asynccontextmanager
async def entering(servers: Servers, role: str) -> AsyncIterator[Intruder]:
    passwords = {name: SecretStr(password) for name, password in servers.nats_secrets.passwords.items()}
    settings = BusSettings(nats_url=SecretStr(servers.nats_url), nats_passwords=passwords)
    intruder = Intruder(Client())
    await intruder.client.connect(settings.url_for(role), inbox_prefix=inbox_of(role), error_cb=intruder.note)
    try:
        yield intruder
    finally:
        await intruder.client.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def admin(servers: Servers) -> AsyncGenerator[Client]:
    """Who provisions: with the streams as they should be."""
    client = await nats.connect(servers.nats_url)
    await apply(client)
    yield client
    await client.close()


def subjects(payload: type[EventData], kind: str = "") -> list[str]:
    if payload.aggregate == "work":
        return [f"{payload.subject_root}.t.AGENT-ONE"]
    return [one.replace("*", "t", 1).replace("*", "0") for one in filters_for(payload, kind)]


def may_say(role: str, payload: type[EventData], subject: str) -> bool:
    """What the documents say: consumers their outputs, the gateway what is asked, the keeper what it decides."""
    if payload.aggregate == "work":
        return any(payload in durable.outputs for durable in DURABLES if durable.name == role)
    if role == KEEPER:
        return payload.is_state or payload in {TaskControl, TaskSubmitted} or payload.event_name not in _FACTS
    if role == GATEWAY:
        replayed = any(payload in durable.inputs and subject in subjects(payload, durable.kind) for durable in DURABLES)
        return replayed or not (payload.is_state or payload.event_name in _FACTS - _RUN)
    if role == CALLOUT:
        return False
    durable = next(durable for durable in DURABLES if durable.name == role)
    return payload in {*durable.outputs, TaskControl}


_RUN = {"started", "progress", "files", "delta", "tool_called"}
_FACTS = {"checked", "unchecked", "decided", "decomposed", "undecomposed", "extracted", *_RUN}
ROUTE_FAILED = "io.ganglion.route.failed.v1"


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_publishes_what_it_produces_and_no_other_event(role: str, servers: Servers, admin: Client) -> None:
    payloads = [kind for name, kind in CATALOGUE.items() if name != ROUTE_FAILED]
    async with entering(servers, role) as intruder:
        refused = await intruder.refused_of(publish=[one for kind in payloads for one in subjects(kind)])
    assert refused == {one.lower() for kind in payloads for one in subjects(kind) if not may_say(role, kind, one)}


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_pulls_its_own_durable_and_no_other(role: str, servers: Servers, admin: Client) -> None:
    pulls = {f"$js.api.consumer.msg.next.{d.stream}.{d.name}".lower(): d.name for d in DURABLES}
    async with entering(servers, role) as intruder:
        refused = await intruder.refused_of(
            publish=[f"$JS.API.CONSUMER.MSG.NEXT.{d.stream}.{d.name}" for d in DURABLES]
        )
    assert {pulls[text] for text in refused} == {d.name for d in DURABLES if d.name != role}


def attacks(role: str, durable: Durable, other: str) -> list[str]:
    """What a consumer that has gone over to the enemy would publish."""
    api, stream = "$JS.API", durable.stream
    return [
        *subjects(TaskSubmitted),
        f"dlq.{other}.task.submitted",
        f"{api}.STREAM.DELETE.{BUS.name}",
        f"{api}.STREAM.PURGE.{BUS.name}",
        f"{api}.STREAM.CREATE.EVIL",
        f"{api}.STREAM.UPDATE.{BUS.name}",
        f"{api}.STREAM.MSG.DELETE.{BUS.name}",
        f"{api}.STREAM.MSG.GET.{BUS.name}",
        f"{api}.DIRECT.GET.{BUS.name}",
        f"{api}.CONSUMER.CREATE.{BUS.name}",
        f"{api}.CONSUMER.CREATE.{BUS.name}.evil",
        f"{api}.CONSUMER.DURABLE.CREATE.{BUS.name}.evil",
        f"{api}.CONSUMER.DURABLE.CREATE.{stream}.{role}",
        f"{api}.CONSUMER.CREATE.{stream}.{role}.bus.>",
        f"{api}.CONSUMER.DELETE.{stream}.{role}",
        f"{api}.CONSUMER.DELETE.{BUS.name}.{other}",
        f"{api}.CONSUMER.PAUSE.{BUS.name}.{other}",
        f"{api}.CONSUMER.MSG.NEXT.{BUS.name}.{other}",
        f"$JS.ACK.{BUS.name}.{other}.1.1.1.0.0",
        "keeper.committed",
        "in.t.task.submitted",
        "_INBOX.gateway.x",
        "$SYS.REQ.USER.AUTH",
        f"{api}.STREAM.INFO.{WORK.name}",
    ]


@pytest.mark.parametrize("durable", CONSUMERS, ids=lambda durable: durable.name)
async def test_a_consumer_gone_bad_can_break_nothing(durable: Durable, servers: Servers, admin: Client) -> None:
    other = next(d.name for d in CONSUMERS if d is not durable)
    published = attacks(durable.name, durable, other)
    heard = [
        "bus.>",
        *subjects(TaskSubmitted),
        "_INBOX.>",
        f"_INBOX.{other}.>",
        "keeper.committed",
        "in.>",
        "$SYS.>",
        ">",
    ]
    before = await admin.jetstream().stream_info(BUS.name)
    async with entering(servers, durable.name) as intruder:
        refused = await intruder.refused_of(publish=published, subscribe=heard)
    assert refused == {text.lower() for text in (*published, *heard)}
    after = await admin.jetstream().stream_info(BUS.name)
    assert (after.state.messages, after.config) == (before.state.messages, before.config)
    with pytest.raises(NotFoundError):
        await admin.jetstream().stream_info("EVIL")


async def test_a_consumer_cannot_settle_what_another_was_given(servers: Servers, admin: Client) -> None:
    async with Publisher(admin) as publisher:
        await publisher.publish(submitted())
    async with (
        entering(servers, "reflex") as reflex,
        entering(servers, "router") as router,
        Pull(reflex.client, BUS.name, "reflex", window=1) as pull,
    ):
        (message,) = await pull.take(1)
        assert await router.refused_of(publish=[message.reply]) == {message.reply.lower()}
        assert await pending(admin) == 1
        await message.ack()
        await eventually(lambda: none_pending(admin))


async def pending(admin: Client) -> int | None:
    found: int | None = (await admin.jetstream().consumer_info(BUS.name, "reflex")).num_ack_pending
    return found


async def none_pending(admin: Client) -> bool:
    return not await pending(admin)


async def test_a_consumer_does_its_own_work_with_what_it_has(servers: Servers, admin: Client) -> None:
    cause = submitted()
    async with entering(servers, "reflex") as reflex, Publisher(reflex.client) as publisher:
        await publisher.publish(cause.caused(checked(cause), source="/consumers/reflex"))
        assert await reflex.refused_of() == set()


async def test_the_gateway_cannot_change_a_consumers_durable(servers: Servers, admin: Client) -> None:
    api = "$JS.API.CONSUMER"
    published = [
        f"{api}.DURABLE.CREATE.{BUS.name}.reflex",
        f"{api}.CREATE.{BUS.name}.reflex.bus.>",
        f"{api}.DELETE.{BUS.name}.reflex",
        f"{api}.PAUSE.{BUS.name}.reflex",
        f"$JS.API.STREAM.PURGE.{BUS.name}",
        f"$JS.API.STREAM.DELETE.{BUS.name}",
        "bus.t.task.running.0",
        *subjects(STATE_EVENTS["blocked"]),
        "keeper.committed",
        "work.t.agent",
        f"{api}.DURABLE.CREATE.WORK.t~AGENT",
        f"{api}.DELETE.WORK.t~AGENT",
    ]
    async with entering(servers, GATEWAY) as intruder:
        refused = await intruder.refused_of(publish=published, subscribe=["bus.>", "$SYS.REQ.USER.AUTH", "_INBOX.>"])
    assert refused == {text.lower() for text in (*published, "bus.>", "$SYS.REQ.USER.AUTH", "_INBOX.>")}
    assert not refused & set(subjects(TaskAssigned))  # an operator may have a dead letter delivered again


async def test_nobody_comes_in_without_a_password_or_with_anothers(servers: Servers) -> None:
    where, secrets = servers.nats_url.rpartition("@")[2], servers.nats_secrets.passwords
    assert await hello(where, user="reflex", **{"pass": secrets["reflex"]}) == LET_IN
    for user, password in (("reflex", secrets["router"]), (KEEPER, ""), (ADMIN, secrets[KEEPER])):
        assert await hello(where, user=user, **{"pass": password}) == REFUSED
