"""The sockets of the source documents: their own frames, the same promises."""

import hashlib
import json
from uuid import UUID, uuid4

import httpx
import pytest
from nats.aio.client import Client

from events.base import Event, EventData, JsonObject
from events.ids import derived_id, run_id
from events.proposal import ProposalPending
from events.run import File, RunFiles, RunFinished, RunProgress, RunStarted
from events.session import SessionOpened
from events.task import STATE_EVENTS, Kind, Status, TaskSpec, TaskSubmitted
from tests.integration.gateway.test_rooms import Agent, said
from tests.integration.gateway.test_sockets import submitted
from tests.support.eventually import eventually
from tests.support.fake_keeper import FakeKeeper
from tests.support.running_gateway import RunningGateway, Socket, token

pytestmark = pytest.mark.asyncio(loop_scope="module")


def entered(
    task_id: UUID,
    came_from: Status,
    status: Status,
    *,
    kind: Kind = "refinement",
    session: str | None = None,
    **data: object,
) -> Event[EventData]:
    payload = STATE_EVENTS[status].model_validate(
        {"task_id": task_id, "kind": kind, "from_status": came_from, "version": 2, "attempt": 1, **data}
    )
    return said(payload, task_id=task_id, session=session)


async def greeted(socket: Socket, resource: str) -> list[object]:
    frames = [json.loads(await socket.connection.recv()) for _ in range(2)]
    assert all(set(frame) == {"type", "payload", "timestamp"} for frame in frames)
    assert [frame["type"] for frame in frames] == ["connection.established", "subscription.confirmed"]
    assert frames[1]["payload"]["resource"] == resource
    return [frame["payload"] for frame in frames]


async def frames(socket: Socket, count: int) -> list[tuple[str, dict[str, object]]]:
    found = [json.loads(await socket.connection.recv()) for _ in range(count)]
    assert all(set(frame) == {"type", "payload", "timestamp"} for frame in found)
    return [(frame["type"], frame["payload"]) for frame in found]


async def test_sessions_are_told_in_their_own_words(gateway: RunningGateway, keeper: FakeKeeper) -> None:
    await keeper.open_session("s-1", "alice")
    task_id = uuid4()
    async with (
        gateway.socket(path="/ws/sessions?client_id=desk") as every,
        gateway.socket(path="/ws/sessions/s-1") as one,
    ):
        established, _ = await greeted(every, "sessions")
        assert isinstance(established, dict)
        assert (established["client_id"], established["rooms"]) == ("desk", ["sessions"])
        _, confirmed = await greeted(one, "session")
        assert confirmed == {"resource": "session", "session_id": "s-1", "room": "session:s-1"}
        opened = SessionOpened(session_id="s-1", kind="chat", title="Export", version=1)
        await keeper.publish(said(opened, session="s-1"))
        for came_from, status in (("submitted", "ready"), ("ready", "assigned"), ("assigned", "running")):
            await keeper.publish(entered(task_id, came_from, status, session="s-1"))  # type: ignore[arg-type]  # literals of a loop
        await keeper.publish(entered(task_id, "running", "partial", session="s-1", result={"text": "so far"}))
        expected = [
            ("session.created", "pending", None),
            ("session.status_changed", "pending", "queued"),
            ("session.status_changed", "queued", "running"),
            ("session.status_changed", "running", "partially_completed"),
            ("session.completed", "partially_completed", None),
        ]
        for socket in (every, one):
            seen = await frames(socket, 5)
            assert [
                (kind, payload.get("old_status", payload.get("status")), payload.get("new_status"))
                for kind, payload in seen
            ] == expected
            assert {payload["session_id"] for _, payload in seen} == {"s-1"}


async def test_a_session_is_told_of_by_the_task_whose_status_is_its_own(
    gateway: RunningGateway, keeper: FakeKeeper
) -> None:
    own, other = uuid4(), uuid4()
    session = str(derived_id(own, "session"))
    await keeper.open_session(session, "alice")
    async with gateway.socket(path=f"/ws/sessions/{session}") as socket:
        await greeted(socket, "session")
        for task_id in (own, other):
            asked = TaskSubmitted(task_id=task_id, spec=TaskSpec(prompt="Summarise it."))
            await keeper.publish(said(asked, task_id=task_id, session=session))
        for task_id, kind in ((other, "goal"), (uuid4(), "subtask"), (own, "goal")):
            await keeper.publish(entered(task_id, "running", "succeeded", kind=kind, session=session))  # type: ignore[arg-type]  # literals of a loop
        seen = await frames(socket, 3)
    assert [(kind, payload["task_id"]) for kind, payload in seen] == [
        ("session.task_added", str(other)),
        ("session.status_changed", str(own)),
        ("session.completed", str(own)),
    ]


async def test_a_task_is_told_in_its_own_words(
    gateway: RunningGateway, alice: httpx.AsyncClient, keeper: FakeKeeper
) -> None:
    task_id = await submitted(alice)
    async with gateway.socket(path=f"/ws/tasks/{task_id}") as socket:
        await greeted(socket, "task")
        await keeper.publish(entered(task_id, "submitted", "waiting"))
        await keeper.publish(entered(task_id, "waiting", "ready", reason="dependencies_met"))
        await keeper.publish(progress(task_id, 1, 40.0, "reading"))
        await keeper.publish(entered(task_id, "running", "timed_out"))
        seen = await frames(socket, 5)
    assert [kind for kind, _ in seen] == [
        *("task.status_changed", "task.dependency_satisfied", "task.status_changed"),
        *("task.progress_updated", "task.status_changed"),
    ]
    assert seen[3][1]["percent"] == 40.0
    assert (seen[4][1]["old_status"], seen[4][1]["new_status"]) == ("in_progress", "failed")


async def test_rooms_are_joined_and_left_and_figures_are_for_admins(
    gateway: RunningGateway, alice: httpx.AsyncClient, keeper: FakeKeeper
) -> None:
    task_id = await submitted(alice)
    async with gateway.socket(path="/ws/agents") as socket:
        await greeted(socket, "agents")
        await socket.send(type="join_room", room=f"task:{uuid4()}")
        assert (await frames(socket, 1))[0][1]["code"] == "not_found"
        await socket.send(type="get_stats")
        assert (await frames(socket, 1))[0][1]["code"] == "missing_scope"
        await socket.send(type="pong")
        await socket.send(type="join_room", room=f"task:{task_id}")
        await eventually(lambda: any(f"{task_id}" in key for key in gateway.gateway.hub._rooms))
        await keeper.enter(task_id, "running")
        assert (await frames(socket, 1))[0][0] == "task.status_changed"
        await socket.send(type="leave_room", room=f"task:{task_id}")
        await eventually(lambda: not any(f"{task_id}" in key for key in gateway.gateway.hub._rooms))
    async with gateway.socket(token("root", scopes=("admin",)), path="/ws/system") as socket:
        await greeted(socket, "system")
        await socket.send(type="get_stats")
        assert (await frames(socket, 1))[0][1]["total_connections"] == 1


@pytest.mark.parametrize(
    "path",
    [
        *("/ws/sessions/nobody", "/ws/sessions/a:b", f"/ws/tasks/{UUID(int=0)}", "/ws/tasks/x", "/ws/system"),
        f"/api/ws/refinements/{UUID(int=0)}",
    ],
)
async def test_what_is_not_the_callers_closes_1008(gateway: RunningGateway, path: str) -> None:
    async with gateway.socket(path=path) as socket:
        assert (await socket.closed())[0] == 1008


@pytest.mark.parametrize("path", ["/ws/sessions", "/ws/agents", f"/api/ws/refinements/{UUID(int=0)}"])
async def test_no_good_token_closes_1008(gateway: RunningGateway, path: str) -> None:
    for bearer in ("", "x.y.z", token(lifetime=-60)):
        async with gateway.socket(bearer, path=path) as socket:
            assert (await socket.closed()) == (1008, "unauthorized")
    async with gateway.socket(token(scopes=()), path=path) as socket:
        assert (await socket.closed()) == (1008, "missing_scope")


async def test_a_token_in_the_query_opens_only_what_demands_it(
    gateway: RunningGateway, alice: httpx.AsyncClient, keeper: FakeKeeper
) -> None:
    task_id = await submitted(alice)
    async with gateway.socket("", path=f"/ws/tasks/{task_id}?token={token()}") as socket:
        assert (await socket.closed())[0] == 1008
    await keeper.publish(entered(task_id, "running", "succeeded", kind="goal"))
    async with gateway.socket("", path=f"/api/ws/refinements/{task_id}?token={token()}") as socket:
        assert json.loads(await socket.connection.recv()) == {"event_type": "end", "data": {}}


async def test_what_is_not_json_closes_1003(gateway: RunningGateway) -> None:
    for text in ("{", "[]", "7"):
        async with gateway.socket(path="/ws/agents") as socket:
            await greeted(socket, "agents")
            await socket.connection.send(text)
            assert (await socket.closed())[0] == 1003


def file(text: str) -> File:
    return File(sha256=hashlib.sha256(text.encode()).hexdigest(), size=len(text.encode()), content=text)


class Refinement:
    """A run as the engine states it."""

    def __init__(self, task_id: UUID) -> None:
        self.task_id = task_id
        self.execution = uuid4()

    @property
    def run(self) -> JsonObject:
        return {
            "run_id": str(run_id(self.task_id, 1)),
            "task_id": str(self.task_id),
            "attempt": 1,
            "execution_id": str(self.execution),
            "agent_id": "spec-engine",
        }

    def event(self, data: EventData) -> Event[EventData]:
        return said(data, task_id=self.task_id)

    def started(self) -> Event[EventData]:
        return self.event(RunStarted.model_validate(self.run))

    def noted(self, note: str) -> Event[EventData]:
        return self.event(RunProgress.model_validate({**self.run, "seq": 1, "note": note}))

    def files(self, seq: int, files: dict[str, File]) -> Event[EventData]:
        shown = {path: one.model_dump() for path, one in files.items()}
        return self.event(RunFiles.model_validate({**self.run, "snapshot_seq": seq, "files": shown}))

    def finished(self, text: str) -> Event[EventData]:
        return self.event(RunFinished.model_validate({**self.run, "outcome": "succeeded", "output": {"text": text}}))

    def proposed(self) -> Event[EventData]:
        pending = ProposalPending(
            proposal_id=derived_id(self.task_id, "proposal"),
            task_id=self.task_id,
            workflow_id=uuid4(),
            version=1,
            digest="a" * 64,
            base_version=1,
        )
        return self.event(pending)


def progress(task_id: UUID, seq: int, percent: float, note: str) -> Event[EventData]:
    run = Refinement(task_id)
    return run.event(RunProgress.model_validate({**run.run, "seq": seq, "percent": percent, "note": note}))


async def watched(gateway: RunningGateway, task_id: UUID) -> list[dict[str, object]]:
    """All frames until the socket closes."""
    async with gateway.socket(path=f"/api/ws/refinements/{task_id}") as socket:
        seen: list[dict[str, object]] = [json.loads(text) async for text in socket.connection]
        assert (await socket.closed()) == (1000, "end")
    return seen


async def test_a_refinement_is_seen_whole_at_whatever_time_one_comes(
    gateway: RunningGateway, alice: httpx.AsyncClient, keeper: FakeKeeper
) -> None:
    run = Refinement(await submitted(alice))
    plan, spec = file("# Plan\nread"), file("must")
    async with gateway.socket(path=f"/api/ws/refinements/{run.task_id}") as early:
        for event in (
            run.started(),
            run.noted("thinking"),
            run.files(1, {"plan.md": plan}),
            run.files(2, {"plan.md": plan.model_copy(update={"content": None, "ref": "x"}), "spec.md": spec}),
            run.finished("Two files."),
            entered(run.task_id, "running", "succeeded"),
        ):
            await keeper.publish(event)
        seen = [json.loads(await early.connection.recv()) for _ in range(4)]
        async with gateway.socket(path=f"/api/ws/refinements/{run.task_id}") as late:
            assert [json.loads(await late.connection.recv()) for _ in range(4)] == seen
            await keeper.publish(run.proposed())
            for socket in (early, late):
                assert json.loads(await socket.connection.recv()) == {"event_type": "end", "data": {}}
                assert (await socket.closed()) == (1000, "end")
    assert await watched(gateway, run.task_id) == [*seen, {"event_type": "end", "data": {}}]
    assert [frame["event_type"] for frame in seen] == [*("on_state_update",) * 3, "on_llm_stream"]
    assert all(set(frame) == {"event_type", "data"} for frame in seen)
    assert seen[0]["data"] == {"messages": "thinking"}
    files = seen[2]["data"]["files"]
    assert {path: one["content"] for path, one in files.items()} == {
        "/plan.md": ["# Plan", "read"],
        "/spec.md": ["must"],
    }
    assert files["/plan.md"]["modified_at"] < files["/spec.md"]["created_at"]


async def test_what_the_model_says_is_streamed_and_said_once(
    gateway: RunningGateway, alice: httpx.AsyncClient, keeper: FakeKeeper, bus: Client
) -> None:
    agent = Agent(bus, await submitted(alice))
    run = Refinement(agent._task_id)
    async with gateway.socket(path=f"/api/ws/refinements/{run.task_id}") as socket:
        await agent.says("two ")
        await agent.says("files")
        heard = [json.loads(await socket.connection.recv())]
        while "files" not in heard[-1]["data"]["raw_event"]:
            heard.append(json.loads(await socket.connection.recv()))
        await keeper.publish(run.finished("two files"))
        await keeper.publish(entered(run.task_id, "running", "succeeded", kind="goal"))
        assert json.loads(await socket.connection.recv())["event_type"] == "end"
    assert {frame["event_type"] for frame in heard} == {"on_llm_stream"}
    assert "".join(frame["data"]["raw_event"] for frame in heard) == "two files"


async def test_a_refinement_that_fails_ends_with_an_error_and_a_retry_is_seen_to_its_end(
    gateway: RunningGateway, alice: httpx.AsyncClient, keeper: FakeKeeper
) -> None:
    run = Refinement(await submitted(alice))
    error = {"code": "engine_unavailable", "message": "The engine is away."}
    await keeper.publish(entered(run.task_id, "running", "failed", error=error))
    await eventually(keeper.has_folded_all)
    told = {"error": "The engine is away.", "context": {"code": "engine_unavailable", "status": "failed"}}
    assert await watched(gateway, run.task_id) == [
        {"event_type": "error", "data": told},
        {"event_type": "end", "data": {}},
    ]
    await keeper.publish(entered(run.task_id, "failed", "ready"))
    await keeper.publish(run.noted("again"))
    await keeper.publish(entered(run.task_id, "running", "succeeded"))
    await keeper.publish(run.proposed())
    await eventually(keeper.has_folded_all)
    assert [frame["event_type"] for frame in await watched(gateway, run.task_id)] == ["on_state_update", "end"]
