"""The OpenAPI document says what the gateway does: schemathesis tries it."""

import asyncio
import re
import sys
from pathlib import Path

import httpx
import pytest

from gateway.controlling import ACTIONS
from tests.support.fake_keeper import FakeKeeper
from tests.support.running_gateway import RunningGateway, token

CONFIG = Path(__file__).with_name("schemathesis.toml")


ELSEWHERE = r"^/api/(v1/sessions|\{user_id\})"
"""What tests/integration/chat tries on a real keeper: a turn is answered only by one that keeps conversations."""


async def test_the_document_covers_every_route(alice: httpx.AsyncClient) -> None:
    paths = (await alice.get("/openapi.json")).json()["paths"]
    documented = {(method, path) for path, methods in paths.items() for method in methods}
    assert {(method, path) for method, path in documented if not re.match(ELSEWHERE, path)} == {
        ("post", "/submit"),
        ("get", "/tasks/{task_id}"),
        ("get", "/api/v1/tasks"),
        ("post", "/api/v1/tasks"),
        ("get", "/api/v1/tasks/{task_id}"),
        ("get", "/api/v1/tasks/{task_id}/events"),
        ("get", "/api/v1/tasks/{task_id}/stream"),
        ("get", "/api/v1/stream"),
        ("get", "/asyncapi.json"),
        *((method, "/api/v1/events") for method in ("post", "options")),
        *(("get", path) for path in ("/schemas", "/schemas/{name}/v1")),
        *(("post", f"/api/v1/tasks/{{task_id}}/{action.name}") for action in ACTIONS),
        *((method, "/api/v1/dlq/{number}") for method in ("get", "delete")),
        ("get", "/api/v1/dlq"),
        ("post", "/api/v1/dlq/{number}/replay"),
        *((method, "/api/workflows") for method in ("get", "post")),
        *(
            ("get", f"/api/workflows/{{workflow_id}}{path}")
            for path in ("", "/draft", "/versions", "/versions/{number}")
        ),
        *(("post", f"/api/workflows/{{workflow_id}}/{path}") for path in ("refinements", "versions")),
        ("delete", "/api/workflows/{workflow_id}/draft"),
        *(
            ("get", f"/api/proposals{path}")
            for path in ("", *(f"/{{proposal_id}}{of}" for of in ("", "/diff", "/access")))
        ),
        *(("post", f"/api/proposals/{{proposal_id}}/{decision}") for decision in ("approve", "reject")),
        *((method, "/api/proposals/{proposal_id}/access/{user_id}") for method in ("put", "delete")),
        *(("get", path) for path in ("/", "/livez", "/readyz", "/health", "/ready", "/metrics")),
    }


@pytest.mark.timeout(120)
async def test_no_request_that_a_tool_can_think_of_breaks_the_contract(
    gateway: RunningGateway, keeper: FakeKeeper
) -> None:
    keeper.finishes = "succeeded"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run", f"{gateway.url}/openapi.json"),
        *("--header", f"Authorization: Bearer {token()}"),
        *("--seed", "1", "--max-failures", "20", "--request-timeout", "5"),
        *("--phases", "examples,coverage,fuzzing", "--no-color"),
        *("--exclude-path", "/metrics", "--exclude-path-regex", ELSEWHERE),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
