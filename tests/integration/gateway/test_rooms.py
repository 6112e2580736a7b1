"""Rooms beyond tasks: who sees what, on either transport, with one cursor; and who hears what is being said."""

import asyncio
import json
from uuid import UUID, uuid4

import httpx
import pytest
from nats.aio.client import Client

from events.agent import AgentHeartbeat, AgentRegistered
from events.base import Event, EventData
from events.codec import encode
from events.cursor import Cursor
from events.ids import run_id
from events.proposal import ProposalPending
from events.run import RunDelta
from events.session import SessionOpened
from events.subjects import subject_of
from tests.integration.gateway.test_sockets import submitted, subscribed
from tests.support.eventually import eventually
from tests.support.fake_keeper import FakeKeeper
from tests.support.running_gateway import Frame, RunningGateway, Socket, token


def said(
    data: EventData,
    *,
    owner: str = "alice",
    tenant: str = "acme",
    session: str | None = None,
    task_id: UUID | None = None,
) -> Event[EventData]:
    return Event.first(data, source="/test", tenant=tenant, owner=owner, session_id=session, task_id=task_id)


def opened(session: str) -> Event[EventData]:
    return said(SessionOpened(session_id=session, kind="chat", version=1), session=session)


def agent(name: str, *, owner: str = "alice", tenant: str = "acme") -> Event[EventData]:
    data = AgentRegistered(agent_id=name, name=name, capabilities={"code": 1.0}, token_hash="5ec4e7" + "0" * 58)
    return said(data, owner=owner, tenant=tenant)


async def test_each_list_shows_its_kind_of_events(
    gateway: RunningGateway, alice: httpx.AsyncClient, keeper: FakeKeeper
) -> None:
    proposal = ProposalPending(
        proposal_id=uuid4(), task_id=uuid4(), workflow_id=uuid4(), version=1, digest="a" * 64, base_version=1
    )
    async with gateway.socket() as socket:
        await socket.receive()
        for room in ("tasks", "sessions", "agents", "proposals", "agent:coder"):
            await socket.send(type="subscribe", id=room, room=room)
            await socket.until("subscribed")
        await submitted(alice)
        await keeper.publish(opened("s-1"))
        await keeper.publish(agent("coder"))
        await keeper.publish(agent("builtin", owner="ganglion", tenant="_"))
        await keeper.publish(agent("theirs", owner="bob"))
        await keeper.publish(said(proposal, task_id=proposal.task_id))
        shown = [await socket.receive() for _ in range(6)]
    assert [(frame["id"], frame["event"]) for frame in shown] == [
        ("tasks", "task.submitted"),
        ("sessions", "session.opened"),
        ("agents", "agent.registered"),
        ("agent:coder", "agent.registered"),
        ("agents", "agent.registered"),
        ("proposals", "proposal.pending"),
    ]
    assert "5ec4e7" not in json.dumps(shown)


async def test_a_list_that_is_replayed_shows_what_it_showed_live(gateway: RunningGateway, keeper: FakeKeeper) -> None:
    for event in (opened("s-1"), agent("coder"), said(AgentHeartbeat(agent_id="coder")), agent("x", owner="bob")):
        await keeper.publish(event)
    await eventually(lambda: keeper.has_folded(4))
    for room, names in (
        ("agents", ["agent.registered", "agent.heartbeat"]),
        ("agent:coder", ["agent.registered", "agent.heartbeat"]),
        ("sessions", ["session.opened"]),
        ("proposals", []),
    ):
        async with gateway.socket() as socket:
            await socket.send(type="subscribe", id="a", room=room, after="0")
            await socket.until("subscribed")
            assert [(await socket.receive())["event"] for _ in names] == names, room


async def test_a_sessions_room_is_its_owners(gateway: RunningGateway, keeper: FakeKeeper) -> None:
    await keeper.open_session("s-1", "alice")
    async with gateway.socket() as mine, gateway.socket(token("bob")) as theirs:
        await theirs.receive()
        await theirs.send(type="subscribe", id="a", room="session:s-1")
        assert (await theirs.receive())["code"] == "not_found"
        await subscribed(mine, "session:s-1")
        await keeper.publish(opened("s-2"))
        await keeper.publish(opened("s-1"))
        assert (await mine.receive())["subject"] == "s-1"
    await eventually(lambda: keeper.has_folded(2))
    async with gateway.socket() as late:
        await late.send(type="subscribe", id="a", room="session:s-1", after="0")
        await late.until("subscribed")
        assert (await late.receive())["subject"] == "s-1"


async def test_admins_hear_what_the_log_has_lost(gateway: RunningGateway, keeper: FakeKeeper) -> None:
    async with gateway.socket(token("root", scopes=("admin",)), path="/ws/system") as socket:
        frames = [json.loads(await socket.connection.recv()) for _ in range(2)]
        gateway.gateway.hub.on_hole(Cursor(keeper.epoch, 7), Cursor(keeper.epoch, 9))
        frames.append(json.loads(await socket.connection.recv()))
    assert frames[-1]["type"] == "system.alert"
    assert frames[-1]["payload"]["detail"] == f"from {keeper.epoch}-7 to {keeper.epoch}-9"


async def test_a_new_token_that_grants_less_ends_what_it_does_not_grant(
    gateway: RunningGateway, alice: httpx.AsyncClient
) -> None:
    async with gateway.socket(token("alice", scopes=("admin",))) as socket:
        await socket.receive()
        task_id = await submitted(alice)
        for name, room in (("all", "tasks"), ("mine", f"task:{task_id}"), ("system", "system")):
            await socket.send(type="subscribe", id=name, room=room)
            await socket.until("subscribed")
        await socket.send(type="auth", token=token("alice"))
        refused = [await socket.receive(), await socket.receive()]
        assert {frame["id"]: frame["code"] for frame in refused} == {"all": "missing_scope", "system": "missing_scope"}
        async with gateway.client(token("bob")) as bob:
            await submitted(bob)
        await alice.post(f"/api/v1/tasks/{task_id}/cancel")
        assert (await socket.receive())["id"] == "mine"
        await socket.send(type="auth", token=token("bob"))
        assert (await socket.closed())[0] == 4401


async def events_of(client: httpx.AsyncClient, room: str, after: str, count: int) -> list[dict[str, str]]:
    """So many messages of a room's stream."""
    found: list[dict[str, str]] = []
    async with client.stream("GET", "/api/v1/stream", params={"room": room, "after": after}) as answer:
        assert answer.status_code == 200
        fields: dict[str, str] = {}
        async for line in answer.aiter_lines():
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
                continue
            if "id" in fields and fields["event"] != "subscribed":
                found.append(fields)
            fields = {}
            if len(found) == count:
                return found
    return found


async def test_a_client_changes_transport_with_its_cursor(
    gateway: RunningGateway, alice: httpx.AsyncClient, keeper: FakeKeeper
) -> None:
    task_id = await submitted(alice)
    for status in ("ready", "assigned", "running", "succeeded"):
        await keeper.enter(task_id, status)
    async with gateway.socket() as socket:
        await socket.send(type="subscribe", id="a", room="tasks", after="0")
        place = str((await socket.until_event("task.ready"))[-1]["cursor"])
    first = await events_of(alice, "tasks", place, 2)
    assert [message["event"] for message in first] == ["task.assigned", "task.running"]
    async with gateway.socket() as socket:
        await socket.send(type="subscribe", id="a", room="tasks", after=first[-1]["id"])
        assert (await socket.until_event("task.succeeded"))[-1]["type"] == "event"


class Agent:
    """One execution that speaks."""

    def __init__(self, bus: Client, task_id: UUID, *, session: str | None = None, owner: str = "alice") -> None:
        self._bus = bus
        self._task_id = task_id
        self._session = session
        self._owner = owner
        self._execution = uuid4()
        self._seq = 0
        self.text = ""

    async def says(self, text: str) -> None:
        self._seq += 1
        data = RunDelta(
            run_id=run_id(self._task_id, 1),
            task_id=self._task_id,
            attempt=1,
            execution_id=self._execution,
            agent_id="llm",
            seq=self._seq,
            offset=len(self.text),
            text=text,
        )
        event = said(data, owner=self._owner, session=self._session, task_id=self._task_id)
        await self._bus.jetstream().publish(subject_of(event), encode(event))
        self.text += text

    def loses(self, text: str) -> None:
        """Say something that the bus does not keep."""
        self.text += text


def put_together(frames: list[Frame]) -> str:
    """What a reader has, who holds to `offset`."""
    text = ""
    for frame in frames:
        data = frame["data"]
        assert isinstance(data, dict)
        assert data["offset"] == len(text), "a hole or a doubling"
        text += str(data["text"])
    return text


async def heard(socket: Socket, until: str) -> list[Frame]:
    frames: list[Frame] = []
    while not (frames and str(frames[-1]["data"]).count(until)):
        frame = await socket.receive()
        if frame["type"] == "delta":
            frames.append(frame)
    return frames


async def test_what_is_said_is_heard_in_the_session_and_by_its_owner_only(
    gateway: RunningGateway, alice: httpx.AsyncClient, bus: Client, keeper: FakeKeeper
) -> None:
    await keeper.open_session("s-1", "alice")
    task_id = await submitted(alice)
    async with gateway.socket() as socket:
        await subscribed(socket, "session:s-1")
        await Agent(bus, task_id, session="s-1", owner="mallory").says("forged")
        await Agent(bus, task_id, session="s-1").says("true")
        assert put_together([await socket.receive()]) == "true"


def _keys(agent: Agent) -> tuple[str, ...]:
    return (f"task:acme:alice:{agent._task_id}",)


async def test_a_gateway_that_starts_late_knows_what_was_said(
    gateway: RunningGateway, alice: httpx.AsyncClient, bus: Client
) -> None:
    agent = Agent(bus, await submitted(alice))
    await agent.says("before ")
    hub = gateway.gateway.hub
    await eventually(lambda: hub.speech.in_rooms(_keys(agent)))
    hub.speech.__init__()  # type: ignore[misc]  # as a process that has just started
    hub.speech.on_words = hub._say
    listening = asyncio.create_task(hub.speech.run(bus))
    try:
        await eventually(lambda: hub.speech.in_rooms(_keys(agent)))
        async with gateway.socket() as socket:
            await subscribed(socket, f"task:{agent._task_id}")
            await agent.says("after")
            assert put_together(await heard(socket, "after")) == "before after"
    finally:
        listening.cancel()


async def test_a_snapshot_of_long_tasks_still_fits_into_a_message(
    gateway: RunningGateway, alice: httpx.AsyncClient, keeper: FakeKeeper
) -> None:
    for _ in range(12):
        assert (await alice.post("/api/v1/tasks", json={"prompt": "x" * 100_000})).status_code == 202
    async with gateway.socket() as socket:
        await socket.send(type="subscribe", id="a", room="tasks", after="000000000001-5")
        data = (await socket.until("snapshot"))[-1]["data"]
    assert isinstance(data, dict)
    assert isinstance(data["items"], list)
    assert 0 < len(data["items"]) < 6
    rest = await alice.get("/api/v1/tasks", params={"cursor": str(data["next_cursor"])})
    assert len(data["items"]) + len(rest.json()["items"]) == 12


@pytest.mark.parametrize(
    ("room", "path"),
    [
        ("session:s-1", "/api/v1/sessions/s-1"),
        ("sessions", "/api/v1/sessions"),
        ("agents", "/api/v1/agents"),
        ("proposals", "/api/proposals"),
    ],
)
async def test_a_snapshot_is_what_get_shows(
    gateway: RunningGateway, alice: httpx.AsyncClient, keeper: FakeKeeper, room: str, path: str
) -> None:
    await keeper.open_session("s-1", "alice")
    async with gateway.socket() as socket:
        await socket.send(type="subscribe", id="a", room=room, after="000000000001-5")
        snapshot = (await socket.until("snapshot"))[-1]["data"]
    shown = (await alice.get(path)).json()
    assert isinstance(snapshot, dict)
    assert snapshot.keys() == shown.keys()
    if "items" in shown:
        assert snapshot["items"] == shown["items"]
    else:
        assert {**shown, **snapshot} == shown
