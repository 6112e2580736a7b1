"""HEAD is served wherever GET is, and says what GET would, without its content (RFC 9110, 9.3.2)."""

import asyncio

import httpx
import pytest

from tests.support.eventually import PATIENCE, eventually
from tests.support.running_gateway import RunningGateway

pytestmark = pytest.mark.asyncio(loop_scope="module")

METHODS = ("GET", "HEAD")


@pytest.mark.parametrize(
    "path", ["/livez", "/health", "/metrics", "/openapi.json", "/asyncapi.json", "/api/v1/tasks", "/api/v1/tasks/none"]
)
async def test_a_head_has_the_status_and_the_type_of_a_get_and_no_content(alice: httpx.AsyncClient, path: str) -> None:
    got, head = await alice.get(path), await alice.head(path)
    assert head.status_code == got.status_code
    assert head.headers["content-type"] == got.headers["content-type"]
    assert int(head.headers["content-length"]) > 0
    assert head.content == b""
    assert (await alice.get("/livez")).json() == {"status": "ok"}  # on the same connection


async def test_a_head_is_counted_as_one(alice: httpx.AsyncClient) -> None:
    counts = "orchestrator_http_request_duration_seconds_count"

    async def counted() -> dict[str, float]:
        lines = [line.rpartition(" ") for line in (await alice.get("/metrics")).text.splitlines()]
        series = {name.removeprefix(counts): float(count) for name, _, count in lines if name.startswith(counts)}
        return {method: series.get(f'{{endpoint="/livez",method="{method}",status="200"}}', 0.0) for method in METHODS}

    before = await counted()
    await alice.head("/livez")
    assert await counted() == {**before, "HEAD": before["HEAD"] + 1}


async def test_a_head_needs_the_token_that_a_get_needs(gateway: RunningGateway) -> None:
    async with gateway.client("") as nobody:
        assert (await nobody.head("/api/v1/tasks")).status_code == httpx.codes.UNAUTHORIZED


async def test_a_head_of_what_cannot_be_got_is_refused(alice: httpx.AsyncClient) -> None:
    answer = await alice.head("/submit")
    assert (answer.status_code, answer.headers["allow"]) == (httpx.codes.METHOD_NOT_ALLOWED, "POST")


async def test_a_head_of_a_stream_ends_and_holds_nothing(gateway: RunningGateway, alice: httpx.AsyncClient) -> None:
    async with asyncio.timeout(10 * PATIENCE):
        answer = await alice.head("/api/v1/stream", params={"room": "tasks"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert (await alice.get("/livez")).status_code == httpx.codes.OK
    await eventually(lambda: gateway.gateway.streams.count == 0)
