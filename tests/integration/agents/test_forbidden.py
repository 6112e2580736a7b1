"""What an outside agent may not do, each tried against the real server: it can neither read nor finish another's work.

Whatever it forges, the server refuses the subject, or the door the fact; the other agent's work goes on unharmed.
"""

import asyncio
import json
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from events.ids import run_id
from events.work import stop_subject, work_durable, work_subject
from producers.agent import Context, Task
from tests.support.agency import Agency, Json
from tests.support.eventually import eventually
from tests.support.nats_hello import LET_IN, REFUSED, hello

pytestmark = pytest.mark.asyncio(loop_scope="package")
GOOD, EVIL = "AGENT-GOOD", "AGENT-EVIL"


@dataclass
class Intruder:
    """A plain connection with a real agent's token, and what the server refused it."""

    client: Client
    name: str
    inbox: str
    refused: list[str] = field(default_factory=list)

    async def is_refused(self, subject: str, what: str) -> None:
        """The server said no to this subject."""

        def told() -> bool:
            return any(what in line.lower() and subject.lower() in line.lower() for line in self.refused)

        await eventually(told, within=5)

    async def state(self, name: str, data: Json, tenant: str = "acme") -> Json:
        event = {
            "specversion": "1.0",
            "id": uuid.uuid4().hex,
            "source": f"/agents/{GOOD}",
            "type": f"io.ganglion.{name}.v1",
            "data": data,
        }
        message = await self.client.request(f"in.{tenant}.{name}", json.dumps(event).encode(), timeout=10)
        answer: Json = json.loads(message.data)
        return answer


@dataclass
class Scene:
    """A good agent at work on a task, and a bad one beside it."""

    agency: Agency
    alice: httpx.AsyncClient
    evil: Intruder
    task_id: str
    execution_id: str
    go: asyncio.Event

    def named(self, **more: object) -> Json:
        values: Json = {"task_id": self.task_id, "attempt": 1, "execution_id": self.execution_id}
        return {**values, **more}  # type: ignore[dict-item]  # JSON

    async def goes_on(self) -> None:
        """The good agent ends its task, with its own result."""
        self.go.set()
        task = await self.agency.becomes(self.alice, self.task_id, "succeeded")
        assert (task["result"], task["agent_id"]) == ({"text": "good"}, GOOD)


@asynccontextmanager
async def intruding(agency: Agency, alice: httpx.AsyncClient) -> AsyncGenerator[Intruder]:
    made = (await alice.post("/api/v1/agents", json={"name": EVIL, "capabilities": ["evil"]})).json()
    place = made["connection"]
    intruder = Intruder(Client(), EVIL, place["inbox_prefix"])

    async def note(error: Exception) -> None:
        intruder.refused.append(str(error))

    await intruder.client.connect(
        f"nats://{agency.doorstep.where}",
        user=place["user"],
        password=made["auth_token"],
        inbox_prefix=place["inbox_prefix"],
        allow_reconnect=False,
        error_cb=note,
    )
    try:
        yield intruder
    finally:
        await intruder.client.close()


@asynccontextmanager
async def at_work(agency: Agency, alice: httpx.AsyncClient) -> AsyncGenerator[Scene]:
    go = asyncio.Event()
    executions: list[str] = []

    async def work(task: Task, ctx: Context) -> str:
        executions.append(str(ctx.execution_id))
        await go.wait()
        return "good"

    await agency.start(GOOD, work)
    task_id = await agency.submit(alice, "Only for the good one.")
    await agency.becomes(alice, task_id, "running")
    async with intruding(agency, alice) as evil:
        yield Scene(agency, alice, evil, task_id, executions[0], go)


async def test_the_subjects_of_others_are_closed(agency: Agency, alice: httpx.AsyncClient) -> None:
    async with at_work(agency, alice) as scene:
        evil, client = scene.evil, scene.evil.client
        queue = work_durable("acme", GOOD)
        listening = [
            "bus.>",
            "work.>",
            work_subject("acme", GOOD),
            stop_subject("acme", GOOD),
            "ctl.>",
            f"_INBOX_agent.acme.{GOOD}.>",
            "_INBOX.>",
            "in.>",
            "keeper.committed",
            "$JS.EVENT.ADVISORY.>",
            ">",
        ]
        for subject in listening:
            await client.subscribe(subject)
            await evil.is_refused(subject, "subscription")
        speaking = [
            "bus.acme.run.finished.0",
            work_subject("acme", GOOD),
            work_subject("acme", EVIL),
            stop_subject("acme", GOOD),
            f"_INBOX_agent.acme.{GOOD}.x",
            "in.other.run.finished",
            "in.acme.task.submitted",
            "in.acme.task.control",
            "keeper.committed",
            "route.ask",
            f"$JS.API.CONSUMER.MSG.NEXT.WORK.{queue}",
            f"$JS.API.CONSUMER.INFO.WORK.{queue}",
            f"$JS.ACK.WORK.{queue}.1.1.1.1.0",
            "$JS.API.CONSUMER.CREATE.WORK.mine",
            "$JS.API.CONSUMER.DURABLE.CREATE.WORK.mine",
            f"$JS.API.CONSUMER.DELETE.WORK.{queue}",
            "$JS.API.CONSUMER.NAMES.WORK",
            "$JS.API.CONSUMER.LIST.WORK",
            "$JS.API.STREAM.INFO.WORK",
            "$JS.API.STREAM.INFO.BUS",
            "$JS.API.STREAM.NAMES",
            "$JS.API.STREAM.MSG.GET.WORK",
            "$JS.API.STREAM.MSG.GET.BUS",
            "$JS.API.DIRECT.GET.WORK",
            "$JS.API.DIRECT.GET.BUS",
            "$JS.API.STREAM.PURGE.WORK",
            "$JS.API.STREAM.DELETE.WORK",
            "$JS.API.STREAM.UPDATE.WORK",
            "$JS.API.STREAM.MSG.DELETE.WORK",
            "$JS.API.CONSUMER.PAUSE.BUS.router",
            "$SYS.REQ.USER.AUTH",
            "$SYS.REQ.SERVER.PING",
            "dlq.runner.x.y",
        ]
        for subject in speaking:
            await client.publish(subject, b"{}", reply=f"{evil.inbox}.answer")
            await evil.is_refused(subject, "publish")
        await scene.goes_on()


async def test_anothers_run_cannot_be_stated(agency: Agency, alice: httpx.AsyncClient) -> None:
    async with at_work(agency, alice) as scene:
        facts: list[tuple[str, Json]] = [
            ("run.started", scene.named()),
            ("run.progress", scene.named(seq=9)),
            ("run.tool_called", scene.named(seq=9, tool="x")),
            ("run.files", scene.named(snapshot_seq=9, files={})),
            ("run.finished", scene.named(outcome="succeeded", output={"text": "evil"})),
            ("run.finished", scene.named(outcome="lost", error={"code": "declined", "message": "x"})),
        ]
        change: Json = {"action": "change", "ops": [{"op": "set", "path": "a", "value": 1}]}
        facts.append(("context.change", scene.named(**change, context_id=str(uuid.uuid4()))))
        for name, data in facts:
            answer = await scene.evil.state(name, data)
            assert (answer["status"], answer["code"]) == (404, "not_found"), (name, answer)
        for name, data in facts[:1]:
            lie = await scene.evil.state(name, {**data, "agent_id": GOOD})
            assert lie["status"] == 422  # who it is nobody asks it
        await scene.goes_on()
        said = await agency.said(scene.task_id)
        assert EVIL not in str(said)


async def test_the_same_over_http_and_nothing_but_facts(agency: Agency, alice: httpx.AsyncClient) -> None:
    async with at_work(agency, alice) as scene:
        made = (await alice.post("/api/v1/agents", json={"name": EVIL, "capabilities": ["evil"]})).json()
        headers = {
            "Authorization": f"Bearer {made['auth_token']}",
            "Ganglion-Agent": f"acme.{EVIL}",
            "Content-Type": "application/cloudevents+json",
        }

        async def state(name: str, data: Json, **more: str) -> int:
            event = {
                "specversion": "1.0",
                "id": uuid.uuid4().hex,
                "source": "/x",
                "type": f"io.ganglion.{name}.v1",
                "data": data,
            }
            async with agency.doorstep.gateway.client("") as http:
                answer = await http.post("/api/v1/events", content=json.dumps(event), headers={**headers, **more})
            return answer.status_code

        assert await state("run.finished", scene.named(outcome="succeeded")) == 404
        assert await state("run.finished", scene.named(), **{"Ganglion-Agent": f"acme.{GOOD}"}) == 401
        assert await state("run.finished", scene.named(), **{"Ganglion-Agent": f"other.{EVIL}"}) == 401
        for forbidden in ("task.control", "task.submitted", "task.succeeded", "task.checked", "route.decided"):
            assert await state(forbidden, {}) == 403, forbidden
        assert await state("context.change", {"action": "delete", "context_id": scene.task_id}) == 422
        for forbidden in ("agent.registered", "agent.changed", "agent.active", "work.assigned"):
            assert await state(forbidden, {"agent_id": GOOD}) == 403, forbidden
        async with agency.doorstep.gateway.client(made["auth_token"]) as http:
            for path in ("/api/v1/tasks", f"/api/v1/tasks/{scene.task_id}", f"/api/v1/tasks/{scene.task_id}/events"):
                assert (await http.get(path)).status_code == 401
        await scene.goes_on()


async def test_what_is_not_or_no_longer_its_own_is_refused_to_the_good_one_too(
    agency: Agency, alice: httpx.AsyncClient
) -> None:
    async with at_work(agency, alice) as scene:
        good = agency.agents[0][0]._worker._lines  # type: ignore[union-attr]  # it works

        async def refused(name: str, data: Json) -> str:
            with pytest.raises(Exception, match="409") as caught:
                await good.state(name, uuid.uuid4().hex, data, within=10)
            return str(caught.value.code)  # type: ignore[attr-defined]  # a RefusedError

        other = str(uuid.uuid4())
        assert await refused("run.started", scene.named(execution_id=other)) == "already_started"
        assert await refused("run.finished", scene.named(execution_id=other, outcome="succeeded")) == "other_execution"
        assert await refused("run.progress", scene.named(attempt=2, seq=1)) == "stale_run"
        await scene.goes_on()
        assert await refused("run.progress", scene.named(seq=99)) == "not_running"


async def test_a_token_opens_no_other_agents_line_and_none_at_all_when_it_is_gone(
    agency: Agency, alice: httpx.AsyncClient
) -> None:
    made = (await alice.post("/api/v1/agents", json={"name": EVIL, "capabilities": ["evil"]})).json()
    token = made["auth_token"]
    where = agency.doorstep.where
    for user, password in (
        (f"acme.{GOOD}", token),
        (f"other.{EVIL}", token),
        (f"acme.{EVIL}", token + "x"),
        (f"acme.{EVIL}", "gat_"),
        ("ganglion", token),
        ("gateway", token),
    ):
        assert await hello(where, user=user, **{"pass": password}) == REFUSED, user
    good = {"user": f"acme.{EVIL}", "pass": token}
    assert await hello(where, **good) == LET_IN
    await alice.delete(f"/api/v1/agents/{EVIL}")
    assert await hello(where, **good) == REFUSED


async def test_an_agent_that_is_gone_states_nothing_more_on_its_open_line(
    agency: Agency, alice: httpx.AsyncClient
) -> None:
    async with at_work(agency, alice) as scene:
        assert (await alice.delete(f"/api/v1/agents/{EVIL}")).status_code == 200
        for name, data in (("agent.heartbeat", {}), ("run.finished", scene.named(outcome="succeeded"))):
            assert (await scene.evil.state(name, data))["status"] == 404
        await scene.goes_on()


async def test_a_line_that_was_opened_with_an_earlier_token_states_nothing(
    agency: Agency, alice: httpx.AsyncClient
) -> None:
    async with intruding(agency, alice) as evil:
        assert "event_id" in await evil.state("agent.heartbeat", {})
        await alice.delete(f"/api/v1/agents/{EVIL}")
        async with agency.http("bob") as bob:
            offer = {"name": EVIL, "capabilities": ["answer"]}
            assert (await bob.post("/api/v1/agents", json=offer)).status_code == 201
            task_id = await agency.submit(bob)
            await agency.becomes(bob, task_id, "assigned")
            for name in ("agent.heartbeat", "agent.deregistered"):
                assert (await evil.state(name, {}))["status"] == 401
            started: Json = {"task_id": task_id, "attempt": 1, "execution_id": str(uuid.uuid4())}
            assert (await evil.state("run.started", started))["status"] == 404
            assert (await bob.get(f"/api/v1/agents/{EVIL}")).json()["status"] == "active"


async def test_run_ids_are_no_secret_and_open_nothing(agency: Agency, alice: httpx.AsyncClient) -> None:
    async with at_work(agency, alice) as scene:
        assert str(run_id(uuid.UUID(scene.task_id), 1)) in str(await agency.said(scene.task_id))
        heard: list[Msg] = []
        ask: Callable[..., Awaitable[object]] = scene.evil.client.subscribe
        await ask(stop_subject("acme", EVIL), cb=_keep(heard))
        await alice.post(f"/api/v1/tasks/{scene.task_id}/cancel")
        await agency.becomes(alice, scene.task_id, "cancelled")
        await scene.evil.client.flush()
        assert heard == []


def _keep(heard: list[Msg]) -> Callable[[Msg], Awaitable[None]]:
    async def keep(message: Msg) -> None:
        heard.append(message)

    return keep
