"""Somebody's own agent: a process joins, does one task and leaves."""

import asyncio
import contextlib
import os
import sys
from pathlib import Path
from uuid import UUID

from cli.client import Document, Gateway
from cli.demo.stage import Ending, Stage
from cli.summary import first_line, is_final, outcome, status_of

_PROGRAM = Path(__file__).resolve().parents[2] / "examples" / "agents" / "count_words.py"
_TASK: Document = {
    "prompt": "the cat and the dog and the bird",
    "required_capabilities": ["count-words"],
}
_AGAIN_AFTER = 0.1
_LEAVES_WITHIN = 10.0


async def outside_agent(stage: Stage) -> Ending:
    """Start the example agent, give it a task that only it can do, and see it leave in good order."""
    agent = await _started(stage)
    try:
        async with Gateway(stage.place) as gateway:
            task = await _done(gateway, stage.within)
    finally:
        agent.terminate()
        async with asyncio.timeout(_LEAVES_WITHIN):
            left = await agent.wait()
    if stage.output.is_json:
        stage.output.document({"agent": task.get("agent_id"), "status": status_of(task), "exit_code": left})
    else:
        stage.output.line(f"{task.get('agent_id')}: {status_of(task)}, {first_line(outcome(task))}")
        stage.output.line(f"it left with exit code {left}")
    faults = []
    if status_of(task) != "succeeded" or task.get("agent_id") != "AGENT-COUNTER":
        faults.append(f"the outside agent's task is {status_of(task)} with {task.get('agent_id')}")
    if left != 0:
        faults.append(f"the outside agent ended with exit code {left}")
    return Ending(1, tuple(faults[:1]))


async def _started(stage: Stage) -> asyncio.subprocess.Process:
    where = {"GANGLION_URL": stage.place.url, "GANGLION_TOKEN": stage.place.token}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(_PROGRAM),
        env={**os.environ, **where},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )


async def _done(gateway: Gateway, within: float) -> Document:
    """The task once it has ended, or as it is when the time is up; it may wait for the agent to join."""
    task_id = UUID(str((await gateway.submit(_TASK))["task_id"]))
    task: Document = {}
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within):
            while not is_final(task):
                await asyncio.sleep(_AGAIN_AFTER)
                task = await gateway.task(task_id)
    return task
