"""The OpenAPI document says what these routes do: schemathesis tries it."""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.support.parlour import Parlour
from tests.support.running_gateway import token

CONFIG = Path(__file__).with_name("schemathesis.toml")
OURS = r"^/api/(v1/sessions|\{user_id\})"

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_document_has_every_route(parlour: Parlour) -> None:
    alice = await parlour.client("alice")
    paths = (await alice.http.get("/openapi.json")).json()["paths"]
    one = "/api/v1/sessions/{session_id}"
    ours = {
        ("post", "/api/{user_id}/chat"),
        ("get", "/api/{user_id}/conversations"),
        ("get", "/api/{user_id}/conversations/{conversation_id}/history"),
        ("get", "/api/{user_id}/conversations/{conversation_id}/tool_calls"),
        *((method, "/api/v1/sessions") for method in ("get", "post")),
        ("post", "/api/v1/sessions/bulk"),
        *((method, one) for method in ("get", "patch", "delete")),
        *(("post", f"{one}/{action}") for action in ("start", "pause", "resume", "cancel", "complete", "fail")),
    }
    assert ours <= {(method, path) for path, methods in paths.items() for method in methods}


async def test_the_bodies_have_examples(parlour: Parlour) -> None:
    alice = await parlour.client("alice")
    document = (await alice.http.get("/openapi.json")).json()
    for path in ("/api/{user_id}/chat", "/api/v1/sessions", "/api/v1/agents"):
        body = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        name = str(body.get("$ref", "")).rpartition("/")[2]
        schema = document["components"]["schemas"][name] if name else body
        assert [part for part, shape in schema["properties"].items() if shape.get("examples")], path


@pytest.mark.timeout(300)
async def test_no_request_that_a_tool_can_think_of_breaks_the_contract(parlour: Parlour) -> None:
    url = f"{parlour.gateway.url}/openapi.json"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run", url),
        *("--header", f"Authorization: Bearer {token('alice')}", "--include-path-regex", OURS),
        *("--seed", "1", "--max-failures", "20", "--request-timeout", "10"),
        *("--phases", "coverage", "--no-color"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
