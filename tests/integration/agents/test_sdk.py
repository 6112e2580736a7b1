"""An outside agent by our SDK, against the real doors: its work, its words, its end, and what it survives."""

import asyncio
import time
from typing import cast
from uuid import UUID

import httpx
import pytest
from pydantic import JsonValue
from structlog.testing import capture_logs

from events.agent import NOT_HEARD_OF, AgentDeregistered
from events.base import Event
from producers.agent import Agent, AgentError, Context, Result, Task
from producers.agents.line import Line
from producers.sdk.errors import RefusedError
from tests.support.agency import Agency
from tests.support.eventually import eventually

pytestmark = pytest.mark.asyncio(loop_scope="package")
NAME = "AGENT-ONE"
CARD = "My card is 4111 1111 1111 1111."


async def connected(agent: Agent) -> Line:
    """Its line, as soon as there is one."""

    def line() -> Line | None:
        found = agent._worker._lines._line if agent._worker is not None else None
        return None if found is None or found.cut.is_set() else found

    found = await eventually(line, within=15)
    assert found is not None
    return found


async def cut(agent: Agent) -> None:
    """As a cut cable would."""
    line = await connected(agent)
    assert line.client._transport is not None
    line.client._transport.close()  # type: ignore[no-untyped-call]  # nats-py's
    await eventually(line.cut.is_set, within=10)


async def shout(task: Task, ctx: Context) -> dict[str, object]:
    await ctx.progress(50, "half way")
    await ctx.tool_call("upper", {"text": task.prompt}, {"text": task.prompt.upper()})
    ctx.spent(tokens=7, cost_usd=0.01)
    return {"text": task.prompt.upper()}


async def test_it_does_a_task_and_says_what_it_does(agency: Agency, alice: httpx.AsyncClient) -> None:
    await agency.start(NAME, shout)
    task_id = await agency.submit(alice, "Hear me.", metadata={"a": 1}, acceptance_criteria=["loud"])
    task = await agency.becomes(alice, task_id, "succeeded")
    assert (task["result"], task["agent_id"], task["attempt"]) == ({"text": "HEAR ME."}, NAME, 1)
    said = await agency.said(task_id)
    names = [str(one["type"]).removeprefix("io.ganglion.").removesuffix(".v1") for one in said]
    assert [name for name in names if name.startswith("run.")] == [
        *("run.started", "run.progress", "run.tool_called", "run.finished")
    ]
    assert {one["ownerid"] for one in said} == {"alice"}
    assert len({one["correlationid"] for one in said}) == 1
    calls = await agency.doorstep.bus.database.fetch("SELECT tool, status FROM tool_call")
    run = await agency.doorstep.bus.database.fetchrow("SELECT * FROM run WHERE task_id = $1", task_id)
    assert [tuple(call) for call in calls] == [("upper", "succeeded")]
    assert run is not None
    assert (run["status"], run["tokens"], run["cost_usd"]) == ("succeeded", 7, 0.01)


async def test_it_changes_the_contexts_that_its_task_lets_it_write(agency: Agency, alice: httpx.AsyncClient) -> None:
    async with agency.http("bob") as bob:
        mine, read, foreign = [await context_of(http) for http in (alice, alice, bob)]
    refused: list[tuple[int, str]] = []

    async def note(task: Task, ctx: Context) -> str:
        version = task.contexts[0].version
        await ctx.change_context(mine, {"seen.by": NAME}, delete=["a"], expected_version=version)
        for context_id, value, seen in (
            (mine, "x", version),
            (read, "x", None),
            (foreign, "x", None),
            (mine, CARD, None),
        ):
            try:
                await ctx.change_context(context_id, {"b": value}, expected_version=seen)
            except RefusedError as error:
                refused.append((error.status, error.code))
        return "noted"

    await agency.start(NAME, note)
    refs: list[JsonValue] = [f"context:{mine}?write", f"context:{read}", f"context:{foreign}?write"]
    task_id = await agency.submit(alice, context={"refs": refs})
    await agency.becomes(alice, task_id, "succeeded")
    assert refused == [
        (409, "context_conflict"),
        (409, "not_granted"),
        (404, "context_not_found"),
        (422, "blocked_by_policy"),
    ]
    shown = (await alice.get(f"/api/v1/contexts/{mine}")).json()
    assert (shown["data"], shown["version"], shown["updated_by"]) == ({"seen": {"by": NAME}}, 2, NAME)
    said = [one["type"] for one in await agency.said(task_id)]
    assert "io.ganglion.context.change.v1" in said


async def context_of(http: httpx.AsyncClient) -> UUID:
    made = await http.post("/api/v1/contexts", json={"scope": "global", "data": {"a": 1}})
    return UUID(made.json()["id"])


async def test_what_it_says_is_heard_while_it_works_without_its_secrets(
    agency: Agency, alice: httpx.AsyncClient
) -> None:
    done = asyncio.Event()

    async def speak(task: Task, ctx: Context) -> str:
        for piece in ("Write to ann@exam", "ple.com ", "about it. 😀 The rest follows."):
            await ctx.say(piece)
        await done.wait()
        return "Written."

    await agency.start(NAME, speak)
    task_id = await agency.submit(alice)
    async with agency.doorstep.gateway.socket() as socket:
        await socket.send(type="subscribe", id="it", room=f"task:{task_id}")
        heard = ""
        while "The rest" not in heard:
            frame = (await socket.until("delta"))[-1]
            data = cast("dict[str, JsonValue]", frame["data"])
            assert (frame["event"], data["offset"]) == ("run.delta", len(heard))
            heard += str(data["text"])
    assert heard.startswith("Write to [EMAIL_1] about it. 😀 The rest")
    done.set()
    task = await agency.becomes(alice, task_id, "succeeded")
    assert task["result"] == {"text": "Written."}


async def test_what_it_raises_becomes_the_tasks_error(agency: Agency, alice: httpx.AsyncClient) -> None:
    async def fail(task: Task, ctx: Context) -> None:
        if task.prompt == "known":
            raise AgentError("No such file.", code="no_such_file")
        raise ValueError("secret detail")

    await agency.start(NAME, fail, beat=0.5)
    known, unknown = await agency.submit(alice, "known"), await agency.submit(alice, "unknown")
    task = await agency.becomes(alice, known, "failed")
    assert task["error"] == {"code": "no_such_file", "message": "No such file.", "retryable": False}
    again = await agency.becomes(alice, unknown, "waiting")
    assert again["reason"] == "retry"
    assert "secret" not in str(await agency.said(unknown))


async def test_a_partial_result_with_its_quality(agency: Agency, alice: httpx.AsyncClient) -> None:
    async def half(task: Task, ctx: Context) -> Result:
        return Result({"done": 1}, partial=True, quality=0.5)

    await agency.start(NAME, half)
    task = await agency.becomes(alice, await agency.submit(alice), "partial")
    assert task["result"] == {"done": 1}


async def test_it_is_cancelled_within_a_second(agency: Agency, alice: httpx.AsyncClient) -> None:
    begun: asyncio.Queue[float] = asyncio.Queue()

    async def wait(task: Task, ctx: Context) -> None:
        begun.put_nowait(0)
        try:
            await asyncio.sleep(60)
        finally:
            begun.put_nowait(time.monotonic())

    async def seconds() -> float:
        task_id = await agency.submit(alice)
        await begun.get()
        told = time.monotonic()
        assert (await alice.post(f"/api/v1/tasks/{task_id}/cancel")).status_code == 200
        ended = await asyncio.wait_for(begun.get(), 15)

        async def annotated() -> bool:
            return (await agency.task(alice, task_id))["effects_done"] is False

        await eventually(annotated, within=10)
        assert (await agency.task(alice, task_id))["status"] == "cancelled"
        return ended - told

    await agency.start(NAME, wait)
    assert min([await seconds() for _ in range(3)]) < 1  # the quickest: the machine may be busy


async def test_it_takes_no_more_than_it_has_slots(agency: Agency, alice: httpx.AsyncClient) -> None:
    running = most = 0
    full = asyncio.Event()

    async def count(task: Task, ctx: Context) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 3:
            full.set()
        await full.wait()
        await asyncio.sleep(0.02)  # a fourth one would begin meanwhile
        running -= 1

    await agency.start(NAME, count, slots=3)
    tasks = [await agency.submit(alice) for _ in range(12)]
    for task_id in tasks:
        await agency.becomes(alice, task_id, "succeeded")
    assert most == 3


async def test_it_drains_in_good_order(agency: Agency, alice: httpx.AsyncClient) -> None:
    go = asyncio.Event()

    async def wait(task: Task, ctx: Context) -> str:
        await go.wait()
        return "done"

    agent = await agency.start(NAME, wait)
    running, waiting = await agency.submit(alice), await agency.submit(alice)
    await agency.becomes(alice, running, "running")
    agent.drain()

    async def draining() -> bool:
        return (await alice.get(f"/api/v1/agents/{NAME}")).json()["status"] == "draining"  # type: ignore[no-any-return]  # a text

    await eventually(draining, within=10)
    assert (await agency.task(alice, waiting))["status"] == "ready"
    go.set()
    await agency.becomes(alice, running, "succeeded")
    _, serving = agency.agents.pop()
    await asyncio.wait_for(serving, 10)
    assert (await alice.get(f"/api/v1/agents/{NAME}")).json()["status"] == "gone"
    assert str((await agency.task(alice, waiting))["waiting_for"]).startswith("agent: ")


async def test_what_does_not_end_in_time_is_handed_to_another(agency: Agency, alice: httpx.AsyncClient) -> None:
    async def hang(task: Task, ctx: Context) -> None:
        await asyncio.sleep(60)

    agent = await agency.start(NAME, hang, grace=0.2)
    task_id = await agency.submit(alice)
    await agency.becomes(alice, task_id, "running")
    agent.drain()
    _, serving = agency.agents.pop()
    await asyncio.wait_for(serving, 15)
    task = await agency.becomes(alice, task_id, "ready")
    assert task["attempt"] == 2
    await agency.start("AGENT-TWO", shout)
    assert (await agency.becomes(alice, task_id, "succeeded"))["agent_id"] == "AGENT-TWO"


async def test_an_answer_that_is_too_large_is_refused_with_a_name(agency: Agency, alice: httpx.AsyncClient) -> None:
    async def much(task: Task, ctx: Context) -> str:
        return "x" * (720 * 1024)

    await agency.start(NAME, much)
    task = await agency.becomes(alice, await agency.submit(alice), "failed")
    assert task["reason"] == "output_too_large"


async def test_a_code_that_is_no_word_is_refused_with_a_name(agency: Agency, alice: httpx.AsyncClient) -> None:
    async def fail(task: Task, ctx: Context) -> None:
        raise AgentError("No such file.", code="no such file, " * 10)

    await agency.start(NAME, fail)
    with capture_logs() as logged:
        task = await agency.becomes(alice, await agency.submit(alice), "failed")
    assert task["error"] == {
        "code": "invalid_request", "message": "The agent's answer was refused.", "retryable": False
    }  # fmt: skip
    (line,) = [line for line in logged if line["event"] == "end_refused"]
    assert "error.code" in line["why"]


async def test_large_files_travel_alone_and_unchanged_ones_not_at_all(agency: Agency, alice: httpx.AsyncClient) -> None:
    large = {"large.md": "l" * (300 * 1024), "b.md": "b" * 1000, "a.md": "a"}

    async def write(task: Task, ctx: Context) -> None:
        await ctx.files(large)
        await ctx.files({**large, "a.md": "changed"})

    await agency.start(NAME, write)
    task_id = await agency.submit(alice)
    await agency.becomes(alice, task_id, "succeeded")
    said = [one["data"] for one in await agency.said(task_id) if one["type"] == "io.ganglion.run.files.v1"]
    shapes = [
        (data["part"], {path: "content" in file for path, file in data["files"].items()})  # type: ignore[index,union-attr,call-overload,operator]  # JSON
        for data in said
    ]
    assert shapes == [
        (True, {"large.md": True}),
        (False, {"large.md": False, "b.md": True, "a.md": True}),
        (False, {"large.md": False, "b.md": False, "a.md": True}),
    ]


async def test_a_file_that_no_event_can_hold_fails_the_task(agency: Agency, alice: httpx.AsyncClient) -> None:
    async def write(task: Task, ctx: Context) -> None:
        await ctx.files({"huge.md": "h" * (710 * 1024)})

    await agency.start(NAME, write)
    task = await agency.becomes(alice, await agency.submit(alice), "failed")
    assert task["reason"] == "output_too_large"


async def test_a_path_that_is_not_safe_fails_the_task_at_once_and_says_why(
    agency: Agency, alice: httpx.AsyncClient
) -> None:
    async def write(task: Task, ctx: Context) -> None:
        await ctx.files({"../up.md": "x"})

    await agency.start(NAME, write)
    task = await agency.becomes(alice, await agency.submit(alice), "failed")
    assert task["attempt"] == 1, task
    assert task["error"] == {
        "code": "invalid_path", "message": "a path has no empty names, no `.` and no `..`", "retryable": False
    }  # fmt: skip


async def test_a_note_that_is_refused_fails_the_task_at_once(agency: Agency, alice: httpx.AsyncClient) -> None:
    async def overstate(task: Task, ctx: Context) -> None:
        await ctx.progress(200, "nearly twice done")

    await agency.start(NAME, overstate)
    with capture_logs() as logged:
        task = await agency.becomes(alice, await agency.submit(alice), "failed")
    assert task["attempt"] == 1, task
    assert task["error"] == {
        "code": "invalid_request", "message": "What the agent said was refused.", "retryable": False
    }  # fmt: skip
    (line,) = [line for line in logged if line["event"] == "handler_refused"]
    assert "percent" in line["why"]


async def test_a_cut_line_costs_nothing(agency: Agency, alice: httpx.AsyncClient) -> None:
    started = 0
    go = asyncio.Event()

    async def wait(task: Task, ctx: Context) -> str:
        nonlocal started
        started += 1
        await go.wait()
        await ctx.progress(99)
        return "done"

    agent = await agency.start(NAME, wait)
    task_id = await agency.submit(alice)
    await agency.becomes(alice, task_id, "running")
    for _ in range(3):
        await cut(agent)
    go.set()
    await agency.becomes(alice, task_id, "succeeded")
    assert started == 1
    assert (await agency.becomes(alice, await agency.submit(alice), "succeeded"))["attempt"] == 1


async def test_who_registers_the_name_again_takes_over_and_the_other_ends(
    agency: Agency, alice: httpx.AsyncClient
) -> None:
    await connected(await agency.start(NAME, shout, beat=0.1))
    _, serving = agency.agents.pop()
    await connected(await agency.start(NAME, shout))
    with pytest.raises(Exception, match="token is not taken"):
        await asyncio.wait_for(serving, 20)
    assert (await agency.becomes(alice, await agency.submit(alice), "succeeded"))["agent_id"] == NAME


async def test_who_was_gone_for_its_silence_registers_again(agency: Agency, alice: httpx.AsyncClient) -> None:
    await connected(await agency.start(NAME, shout, beat=0.1))
    gone = AgentDeregistered(agent_id=NAME, by="/janitor", reason=NOT_HEARD_OF)
    said = Event.first(gone, source="/gateway", tenant="acme", owner="registrar")
    await agency.doorstep.bus.publisher.publish(said)

    async def is_back() -> bool:
        found = (await alice.get(f"/api/v1/agents/{NAME}")).json()
        return (found["status"], found["reason"]) == ("active", "registered")

    await agency.doorstep.bus.folded()
    await eventually(is_back, within=15)
    assert (await agency.becomes(alice, await agency.submit(alice), "succeeded"))["agent_id"] == NAME
