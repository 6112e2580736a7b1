"""What `make up` promises: the printed line works, and anything killed comes back by itself."""

import itertools
import shlex

import httpx
import pytest

from tests.support.eventually import eventually
from tests.support.stack import Stack


async def finished(stack: Stack, goal: str) -> bool:
    """Whether a new task runs through the whole pipeline."""
    async with stack.client() as client:
        try:
            answer = await client.post("/api/v1/tasks", json={"goal": goal}, headers={"Prefer": "wait=5"})
        except httpx.HTTPError:
            return False
    return answer.status_code == httpx.codes.OK and answer.json()["status"] == "succeeded"


async def test_the_printed_line_submits_a_task_and_shows_its_result(whole_stack: Stack) -> None:
    line = next(text for text in whole_stack.supervisor.output.splitlines() if text.startswith("curl "))
    words = shlex.split(line)
    headers = dict(word.split(": ", 1) for flag, word in itertools.pairwise(words) if flag == "-H")
    body = words[words.index("-d") + 1]
    async with httpx.AsyncClient(trust_env=False, timeout=15) as client:
        answer = await client.post(words[2], headers=headers, content=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "succeeded"
    assert "rollback" in answer.json()["result"]["text"]


@pytest.mark.parametrize("role", ["consumers", "gateway", "valkey", "nats", "postgres"])
async def test_tasks_finish_again_soon_after_a_kill(whole_stack: Stack, role: str) -> None:
    await whole_stack.kill(role)
    await eventually(lambda: finished(whole_stack, f"Summarise: {role} was killed and came back."), within=30)
    assert whole_stack.runtime.restarts[role] >= 1
