"""Every block of docs/produce.md and the shell example are run, as a stranger would run them."""

import asyncio
import gc
import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest

from producers.sdk import EventProducer, Happening
from tests.support.promises import a_promise
from tests.support.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "produce.md").read_text()


@dataclass
class Ran:
    code: int
    out: str
    err: str


async def run(stack: Stack, *command: str) -> Ran:
    env: Mapping[str, str] = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GANGLION")},
        "GATEWAY": stack.runtime.gateway_url,
        "NATS": f"nats://{stack.runtime.nats_url.rpartition('@')[2]}",
        "TOKEN": stack.token(),
        "NO_PROXY": "*",
    }
    process = await asyncio.create_subprocess_exec(
        *command, env=env, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), 40)
    return Ran(process.returncode or 0, out.decode(), err.decode())


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


async def test_every_python_block_does_what_it_says(whole_stack: Stack) -> None:
    sdk, plain, ours, buffered = blocks("python")
    for block, expected in (
        (sdk, ["202 applied"]),
        (plain, ["202 applied"]),
        (ours, ["task.succeeded", "praised"]),
        (buffered, ["0 left"]),
    ):
        ran = await run(whole_stack, sys.executable, "-c", block)
        assert ran.code == 0, ran.err
        assert all(text in ran.out for text in expected), ran.out
        assert ran.out.count("task.succeeded") == (2 if block == ours else 0)


async def test_the_curl_line_is_answered_with_the_receipt_that_is_shown(whole_stack: Stack) -> None:
    export, curl = blocks("sh")
    assert set(re.findall(r"([A-Z]+)=", export)) == {"GATEWAY", "NATS", "TOKEN"}
    ran = await run(whole_stack, "sh", "-c", curl)
    assert ran.code == 0, ran.err
    (shown,) = (json.loads(block) for block in blocks("json"))
    assert set(json.loads(ran.out)) == set(shown)


async def test_the_table_names_what_may_be_sent(whole_stack: Stack) -> None:
    async with whole_stack.client() as client:
        items = (await client.get("/schemas")).json()["items"]
    sent = {item["type"].removeprefix("io.ganglion.").removesuffix(".v1"): item for item in items if item["sent"]}
    named = set(re.findall(r"^\| `([a-z_.]+)` ", PAGE, re.MULTILINE))
    assert named == {name for name, item in sent.items() if item["by"] == "user"}
    assert {name.split(".")[0] for name, item in sent.items() if item["by"] == "agent"} <= {"run", "agent"}
    assert {item["scope"] for item in sent.values() if item["by"] == "user"} == {"tasks:write"}


async def test_the_shell_example_asks_waits_and_prints(whole_stack: Stack) -> None:
    script = str(ROOT / "examples" / "producers" / "ask.sh")
    prompt = 'Summarise: the "blue" pump\nfailed at C:\\plant twice.'
    first, second = [await run(whole_stack, "sh", script, prompt, "pump-1") for _ in range(2)]
    assert first.code == 0, first.err
    assert json.loads(first.out)["task_id"] == json.loads(second.out)["task_id"]
    assert '"blue" pump failed' in json.loads(first.out)["prompt"]
    refused = await run(whole_stack, "sh", script, " ")
    assert refused.code == 2
    assert json.loads(refused.err)["code"] == "invalid_request"


async def test_a_gateway_that_is_killed_again_and_again_costs_no_event_and_doubles_none(whole_stack: Stack) -> None:
    stack = whole_stack
    urls = {"http": stack.runtime.gateway_url, "nats": f"nats://{stack.runtime.nats_url.rpartition('@')[2]}"}

    async def produce(kind: str) -> list[tuple[str, str]]:
        async with EventProducer(urls[kind], stack.token(f"kill-{kind}"), source="/killed") as producer:
            made = []
            for number in range(15):
                task = await producer.submit(f"Summarise: number {number}.", event_id=f"n-{number}", within=60)
                made.append((f"n-{number}", str(task.id)))
            last = [await producer.finished(UUID(task_id), within=60) for _, task_id in made]
        assert all(isinstance(told, Happening) and told.event == "task.succeeded" for told in last)
        return made

    producing = [asyncio.create_task(produce(kind)) for kind in urls]
    for _ in range(2):
        await asyncio.sleep(0.3)  # while they produce
        await stack.kill("gateway")
    for kind, made in zip(urls, await asyncio.gather(*producing), strict=True):
        async with stack.client(f"kill-{kind}", scopes=("tasks:read",)) as client:
            listed = (await client.get("/api/v1/tasks", params={"limit": 100})).json()["items"]
        with a_promise():
            assert {task["task_id"] for task in listed} == {task_id for _, task_id in made}
            assert len(listed) == len(made) == 15
    gc.collect()  # so that what was left open is found here


async def test_no_role_of_ours_was_refused_anything_that_it_does(whole_stack: Stack) -> None:
    written = "".join(path.read_text() for path in (whole_stack.supervisor.home / "logs").glob("nats*.log"))
    assert "Server is ready" in written
    assert [line for line in written.splitlines() if "Violation" in line and '"GANGLION/' in line] == []
