"""The OpenAPI document says what the gateway does: schemathesis tries it."""

import asyncio
import re
import sys
from pathlib import Path

import httpx
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from events.route import Candidate, RouteAnswer
from gateway.tasks.controlling import ACTIONS
from producers.permissions import ROUTE_QUESTIONS
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
        ("post", "/api/v1/tasks/{task_id}/decompose"),
        *(("get", f"/api/v1/tasks/{path}") for path in ("stats", "{task_id}/subtasks", "{task_id}/tree")),
        *(("post", f"/api/v1/tasks/{{task_id}}/{path}") for path in ("status", "dependencies")),
        ("get", "/api/v1/tasks/{task_id}/dependencies"),
        ("delete", "/api/v1/tasks/{task_id}/dependencies/{other_id}"),
        *((method, "/api/v1/dlq/{number}") for method in ("get", "delete")),
        ("get", "/api/v1/tenant/usage"),
        ("get", "/api/v1/dlq"),
        ("post", "/api/v1/dlq/{number}/replay"),
        *((method, "/api/workflows") for method in ("get", "post")),
        *(
            ("get", f"/api/workflows/{{workflow_id}}{path}")
            for path in ("", "/draft", "/versions", "/versions/{number}")
        ),
        *(("post", f"/api/workflows/{{workflow_id}}/{path}") for path in ("refinements", "versions", "deploy")),
        *((method, "/api/workflows/{workflow_id}/lock") for method in ("put", "delete")),
        ("delete", "/api/workflows/{workflow_id}/draft"),
        *(
            ("get", f"/api/proposals{path}")
            for path in ("", *(f"/{{proposal_id}}{of}" for of in ("", "/diff", "/access")))
        ),
        *(("post", f"/api/proposals/{{proposal_id}}/{decision}") for decision in ("approve", "reject")),
        *((method, "/api/proposals/{proposal_id}/access/{user_id}") for method in ("put", "delete")),
        *(
            (method, f"/api/v1/agents{path}")
            for method, paths in {
                "get": ("", "/stats", "/by-capability/{capability}", "/{agent_id}", "/{agent_id}/performance"),
                "post": (
                    *("", "/register", "/route", "/{agent_id}/deregister", "/{agent_id}/drain"),
                    *("/{agent_id}/heartbeat", "/external/register", "/external/{agent_id}/heartbeat"),
                    *("/{agent_id}/performance", "/rebalance"),
                ),
                "delete": ("/{agent_id}",),
            }.items()
            for path in paths
        ),
        *(
            (method, f"/api/v1/contexts{path}")
            for method, paths in {
                "get": (
                    *("", "/global", "/session/{session_id}", "/session/{session_id}/summary", "/agent/{agent_id}"),
                    *(f"/{{context_id}}{of}" for of in ("", "/keys/{path}", "/diff/{other_id}", "/history")),
                ),
                "post": ("", "/merge", "/{context_id}/share", "/{context_id}/promote-to-global"),
                "put": ("/{context_id}/keys/{path}",),
                "patch": ("/{context_id}",),
                "delete": ("/{context_id}", "/{context_id}/keys/{path}"),
            }.items()
            for path in paths
        ),
        ("get", "/api/v1/tasks/{task_id}/placeholders"),
        ("post", "/process"),
        *(("get", path) for path in ("/", "/livez", "/readyz", "/health", "/ready", "/metrics")),
    }


async def test_whoever_is_asked_for_a_token_may_be_told_to_come_back_later(alice: httpx.AsyncClient) -> None:
    paths = (await alice.get("/openapi.json")).json()["paths"]
    answers = {(method, path): one["responses"] for path, methods in paths.items() for method, one in methods.items()}
    assert {route for route, told in answers.items() if "401" in told and "429" not in told} == set()
    assert all("Retry-After" in told["429"]["headers"] for told in answers.values() if "429" in told)


async def test_what_answers_carry_beside_their_bodies_is_described(alice: httpx.AsyncClient) -> None:
    paths = (await alice.get("/openapi.json")).json()["paths"]
    for operation in (one for methods in paths.values() for one in methods.values()):
        asked = {one["name"].lower() for one in operation.get("parameters", ()) if one["in"] == "header"}
        for status, answer in operation["responses"].items():
            told = set(answer.get("headers", {}))
            assert told >= {"201": {"Location"}, "202": {"Location"}, "401": {"WWW-Authenticate"}}.get(status, set())
            assert "idempotency-key" not in asked or status[0] != "2" or "Idempotency-Replayed" in told
            assert "prefer" not in asked or status[0] != "2" or "Preference-Applied" in told
    proposal = paths["/api/proposals/{proposal_id}"]["get"]["responses"]
    assert set(proposal["200"]["content"]) == {"application/json", "text/x-diff"}
    assert "ETag" in proposal["200"]["headers"]
    assert "409" in proposal  # a diff of what has no files yet


@pytest.fixture
async def router(bus: Client) -> None:
    """What stands in for the router, whose absence is a 503: an agent that has room for any task."""

    async def answer(question: Msg) -> None:
        said = RouteAnswer(agent_id="someone", needs=(), candidates=(Candidate(agent_id="someone", score=1.0),))
        await question.respond(said.model_dump_json().encode())

    await bus.subscribe(ROUTE_QUESTIONS, cb=answer)


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("router")
async def test_no_request_that_a_tool_can_think_of_breaks_the_contract(
    gateway: RunningGateway, keeper: FakeKeeper
) -> None:
    keeper.finishes = "succeeded"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run", f"{gateway.url}/openapi.json"),
        *("--header", f"Authorization: Bearer {token()}"),
        *("--seed", "1", "--max-failures", "20", "--request-timeout", "10"),
        *("--phases", "examples,coverage", "--no-color"),
        *("--exclude-path", "/metrics", "--exclude-path-regex", ELSEWHERE),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
