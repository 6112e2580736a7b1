"""`ganglion` against a whole stack: what users type, what they see, and the exit codes scripts rely on."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import JsonValue, SecretStr

from cli.demo.sample import INPUTS
from producers.connect import BusSettings, Connection
from tests.support.command import ganglion, started
from tests.support.eventually import eventually
from tests.support.promises import a_promise
from tests.support.stack import Stack
from tests.support.supervised import Supervised

pytestmark = pytest.mark.asyncio(loop_scope="module")

STEPS = ["task.submitted", "task.checked", "task.ready", "task.assigned", "task.running", "task.succeeded"]


@pytest.fixture
def stack(whole_stack: Stack) -> Supervised:
    return whole_stack.supervisor


async def submitted(stack: Supervised, text: str) -> str:
    done = await ganglion(stack.home, "-o", "json", "submit", text)
    assert done.code == 0, done.err
    return str(done.documents[0]["task_id"])


async def test_watching_shows_every_step_in_order_and_then_the_result(stack: Supervised) -> None:
    done = await ganglion(stack.home, "submit", "The export stops at row 200. Since Thursday.", "--watch")
    assert done.code == 0, done.err
    shown = [word for line in done.out.splitlines() for word in line.split() if word.startswith("task.")]
    assert shown == STEPS
    assert "row 200" in done.out
    assert "succeeded" in done.err


async def test_watching_as_json_gives_the_events_and_the_task(stack: Supervised) -> None:
    done = await ganglion(stack.home, "submit", "--watch", "-f", str(INPUTS / "outage.yaml"), "-o", "json")
    *events, task = done.documents
    assert [event["event"] for event in events if str(event["event"]).startswith("task.")] == STEPS
    assert (task["status"], task["priority"]) == ("succeeded", "critical")


async def test_a_blocked_task_ends_with_code_three_and_says_why(stack: Supervised) -> None:
    done = await ganglion(stack.home, "submit", "--wait", "10", "-f", str(INPUTS / "override.yaml"))
    assert done.code == 3
    assert "Blocked:" in done.out
    assert "system prompt word for word" not in done.out + done.err


async def test_a_repeat_with_the_same_key_gives_the_same_task(stack: Supervised) -> None:
    key = uuid4().hex
    first, second = [
        (await ganglion(stack.home, "-o", "json", "submit", "Count the pallets.", "--key", key)).documents[0]
        for _ in range(2)
    ]
    assert first["task_id"] == second["task_id"]


async def test_the_same_key_for_another_text_is_a_conflict(stack: Supervised) -> None:
    key = uuid4().hex
    await ganglion(stack.home, "submit", "Count the pallets.", "--key", key)
    done = await ganglion(stack.home, "submit", "Count the boxes.", "--key", key)
    assert done.code == 1
    assert "409 idempotency_conflict" in done.err


async def test_a_finished_task_can_be_listed_and_shown_but_not_cancelled(stack: Supervised) -> None:
    done = await ganglion(stack.home, "-o", "json", "submit", "Name the cold store.", "--wait", "10")
    task_id = str(done.documents[0]["task_id"])
    listed = await ganglion(stack.home, "tasks", "ls", "--status", "succeeded")
    shown = await ganglion(stack.home, "tasks", "get", task_id)
    refused = await ganglion(stack.home, "tasks", "cancel", task_id)
    assert task_id in listed.out
    assert shown.code == 0
    assert "Name the cold store" in shown.out
    assert refused.code == 1
    assert "409" in refused.err


async def test_a_task_on_hold_can_be_divided_and_its_plan_is_shown(stack: Supervised, tmp_path: Path) -> None:
    request = tmp_path / "request.json"
    request.write_text(json.dumps({"prompt": "Move the cold store.", "hold": True, "estimated_hours": 2.5}))
    task_id = str((await ganglion(stack.home, "-o", "json", "submit", "-f", str(request))).documents[0]["task_id"])
    done = await ganglion(stack.home, "tasks", "decompose", task_id)
    assert done.code == 0, done.err
    *steps, sums = done.out.splitlines()
    assert [line.split()[-1] for line in steps] == ["analysis", "design", "implementation", "testing", "review"]
    assert sums.startswith("2.5833 h in all")
    again = await ganglion(stack.home, "tasks", "decompose", task_id)
    assert again.code == 1
    assert "409" in again.err


async def test_an_unknown_task_is_one_line_on_standard_error(stack: Supervised) -> None:
    done = await ganglion(stack.home, "tasks", "get", str(uuid4()))
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("error: ")
    assert "404 not_found" in done.err
    assert len(done.err.splitlines()) == 1


async def test_an_id_that_is_none_is_misuse(stack: Supervised) -> None:
    assert (await ganglion(stack.home, "tasks", "get", "../etc")).code == 2


async def test_a_request_that_does_not_fit_the_contract_is_misuse(stack: Supervised, tmp_path: Path) -> None:
    (tmp_path / "slip.yaml").write_text("prompt: Weigh it.\nhodl: true\n")
    for arguments in (("submit", "-f", str(tmp_path / "slip.yaml")), ("tasks", "ls", "--status", "lost")):
        done = await ganglion(stack.home, *arguments)
        assert (done.code, "422 invalid_request" in done.err) == (2, True), done.err
    tailed = await ganglion(stack.home, "tail", "--after", "yesterday")
    assert (tailed.code, "invalid_cursor" in tailed.err) == (2, True), tailed.err


async def test_a_minted_token_sees_its_own_tasks_only(stack: Supervised) -> None:
    task_id = await submitted(stack, "Weigh the parcel.")
    minted = await ganglion(stack.home, "token", "--owner", "ann", "--scope", "tasks:read", "--scope", "tasks:write")
    env = {"GANGLION_TOKEN": minted.out.strip()}
    assert (await ganglion(stack.home, "tasks", "get", task_id, env=env)).code == 1
    assert (await ganglion(stack.home, "-o", "json", "tasks", "ls", env=env)).documents[0]["items"] == []
    mine = await ganglion(stack.home, "submit", "Weigh my parcel.", "--watch", env=env)
    assert mine.code == 0, mine.err
    viewing = {
        "GANGLION_TOKEN": (await ganglion(stack.home, "token", "--owner", "ann", "--role", "viewer")).out.strip()
    }
    seen = (await ganglion(stack.home, "-o", "json", "tasks", "ls", env=viewing)).documents[0]["items"]
    refused = await ganglion(stack.home, "submit", "Weigh another.", env=viewing)
    assert (len(seen), refused.code, "missing_scope" in refused.err) == (1, 1, True)  # type: ignore[arg-type]  # a list


async def test_a_token_that_is_none_is_refused_by_http_and_socket(stack: Supervised) -> None:
    env = {"GANGLION_TOKEN": "nonsense"}
    listed = await ganglion(stack.home, "tasks", "ls", env=env)
    tailed = await ganglion(stack.home, "tail", env=env)
    assert (listed.code, tailed.code) == (1, 1)
    assert "401 unauthorized" in listed.err
    assert "unauthorized" in tailed.err


async def test_status_shows_every_role_running(stack: Supervised) -> None:
    done = await ganglion(stack.home, "status", "-o", "json")
    assert done.code == 0, done.out
    roles = done.documents[0]["roles"]
    assert isinstance(roles, list)
    states = {str(role["role"]): role["state"] for role in roles if isinstance(role, dict)}
    assert states == dict.fromkeys(
        ["supervisor", "nats", "postgres", "valkey", "gateway", "consumers", "engine"],
        "running",
    )
    assert [role["lag"] for role in roles if isinstance(role, dict) and role["role"] == "consumers"] != [None]


async def test_a_rebuild_whose_report_nobody_reads_ends_without_a_traceback(stack: Supervised) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = (sys.executable, "-m", "cli", "rebuild", "--check")
    where = os.environ | {"GANGLION_HOME": str(stack.home)}
    process = await asyncio.create_subprocess_exec(*command, env=where, stdout=writing, stderr=asyncio.subprocess.PIPE)
    os.close(writing)
    _, told = await process.communicate()
    assert told == b""


async def test_the_doctor_finds_a_whole_stack_well_and_says_how_safe_it_is(stack: Supervised) -> None:
    done = await ganglion(stack.home, "doctor", "-o", "json")
    assert done.code == 0, done.out
    checks = done.documents[0]["checks"]
    assert isinstance(checks, dict)
    assert {"durability", "topology", "consumers", "keeper", "dead_letters", "disk", "schema", "clock"} <= set(checks)
    shown = await ganglion(stack.home, "doctor")
    assert shown.code == 0
    assert "fsync on, synchronous_commit on" in shown.out


async def test_dead_letters_are_listed_shown_replayed_and_thrown_away(stack: Supervised) -> None:
    assert (await ganglion(stack.home, "dlq", "ls", "-o", "json")).documents[0]["items"] == []
    settings = BusSettings(nats_url=SecretStr(stack.runtime.nats_url))
    async with Connection(settings, "test") as client:
        await client.jetstream().publish("bus.dev.task.control.0", b"{")

    async def letters(count: int) -> list[object]:
        listed = await ganglion(stack.home, "dlq", "ls", "-o", "json")
        items = listed.documents[0]["items"]
        assert isinstance(items, list)
        return list(items) if len(items) == count else []

    (letter,) = await eventually(lambda: letters(1), within=20)
    assert isinstance(letter, dict)
    number = str(letter["number"])
    assert "keeper" in (await ganglion(stack.home, "dlq", "ls")).out
    assert "ew==" in (await ganglion(stack.home, "dlq", "show", number)).out
    assert f"letter {number} replayed" in (await ganglion(stack.home, "dlq", "replay", number)).out
    (again,) = await eventually(lambda: letters(1), within=20)
    assert isinstance(again, dict)
    assert again["number"] != letter["number"]
    assert "-> look with `ganglion dlq ls`" in (await ganglion(stack.home, "doctor")).out
    assert (await ganglion(stack.home, "dlq", "discard", str(again["number"]))).code == 0
    gone = await ganglion(stack.home, "dlq", "show", number)
    assert (gone.code, "not_found" in gone.err) == (1, True)


async def test_logs_show_the_role_that_was_asked_for(stack: Supervised) -> None:
    done = await ganglion(stack.home, "logs", "consumers")
    assert done.code == 0
    assert "consumers_started" in done.out
    assert (await ganglion(stack.home, "logs", "nobody")).code == 1


async def test_tail_goes_on_after_the_gateway_was_killed_and_tells_each_event_once(stack: Supervised) -> None:
    async with started(stack.home, "-o", "json", "tail", "--after", "0") as tail:
        told: list[dict[str, JsonValue]] = []
        reading = asyncio.create_task(_read(tail, told))
        first = await submitted(stack, "Before the fall.")
        await eventually(lambda: "task.succeeded" in _steps(told, first), within=10)
        killed = stack.runtime.pids["gateway"]
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        await eventually(lambda: stack.runtime.pids["gateway"] not in {killed, None}, within=15)
        second = str(await eventually(lambda: _submitted_by_force(stack, "After the fall."), within=20))
        await eventually(lambda: "task.succeeded" in _steps(told, second), within=15)
        reading.cancel()
    cursors = [event["cursor"] for event in told]
    with a_promise():
        assert len(cursors) == len(set(cursors))
    assert _steps(told, first) == _steps(told, second) == STEPS


async def _submitted_by_force(stack: Supervised, text: str) -> str | None:
    """The id, or None while the gateway is not back."""
    done = await ganglion(stack.home, "-o", "json", "submit", text)
    return str(done.documents[0]["task_id"]) if done.code == 0 else None


async def _read(tail: asyncio.subprocess.Process, told: list[dict[str, JsonValue]]) -> None:
    assert tail.stdout is not None
    while line := await tail.stdout.readline():
        told.append(json.loads(line))


def _steps(told: list[dict[str, JsonValue]], task_id: str) -> list[object]:
    return [event["event"] for event in told if event["subject"] == task_id and str(event["event"]).startswith("task.")]
