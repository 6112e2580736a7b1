"""A flood of requests that are nobody's is refused by address, with a real 429, and no user is hurt by it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_network
from itertools import count
from unittest.mock import AsyncMock, Mock

import httpx
import pytest
import pytest_asyncio
from starlette.requests import Request
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from gateway.auth.addresses import AddressSettings
from gateway.door.over_http import HttpDoor
from gateway.errors import UnauthorizedError
from gateway.http.strangers import PROBES
from tests.support.running_gateway import RunningGateway, running_gateway, settings_for, token

pytestmark = pytest.mark.asyncio(loop_scope="module")

_numbers = count(1)


def somewhere() -> dict[str, str]:
    """Headers of a client that nobody has heard of yet, behind a proxy that is trusted."""
    return {"X-Forwarded-For": f"198.51.100.{next(_numbers)}"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running() -> AsyncGenerator[RunningGateway]:
    """A gateway that lets ten at once and a hundred an hour come from one address; it needs no server."""
    settings = replace(
        settings_for("nats://127.0.0.1:9", "postgresql://nobody@127.0.0.1:9/none"),
        addresses=AddressSettings(address_tier="free", trusted_proxies=(ip_network("127.0.0.0/8"),)),
    )
    async with running_gateway(settings) as gateway:
        yield gateway


async def flood(client: httpx.AsyncClient, headers: dict[str, str]) -> list[httpx.Response]:
    return await asyncio.gather(*(client.get("/api/v1/tasks", headers=headers) for _ in range(16)))


@pytest.mark.parametrize("bearer", ["", "no token of ours"])
async def test_too_many_from_one_address_are_refused_and_told_when_to_come_back(
    running: RunningGateway, bearer: str
) -> None:
    async with running.client(bearer) as nobody:
        answers = await flood(nobody, somewhere())
        refused = [answer for answer in answers if answer.status_code == 429]
        assert {answer.status_code for answer in answers} == {401, 429}
        assert len(refused) in (5, 6), "ten at once, and one more every 36 s"
        assert refused[0].json()["code"] == "rate_limited"
        assert 30 <= int(refused[0].headers["Retry-After"]) <= 37
        assert refused[0].headers["X-Request-Id"] == refused[0].json()["request_id"]
        assert (await nobody.get("/api/v1/tasks", headers=somewhere())).status_code == 401, "another address"


async def test_whoever_has_a_token_and_whoever_watches_is_let_in_from_the_same_address(running: RunningGateway) -> None:
    here = somewhere()
    async with running.client("") as nobody, running.client(token()) as alice:
        assert 429 in {answer.status_code for answer in await flood(nobody, here)}
        assert (await alice.post("/process", json={"text": "x"}, headers=here)).status_code == 200
        for path in sorted(PROBES):
            assert (await nobody.get(path, headers=here)).status_code in (200, 503)
        assert (await nobody.get("/openapi.json", headers=here)).status_code == 429
        assert (await nobody.get("/", headers=here | {"Authorization": "Basic YTpi"})).status_code == 429


async def test_tokens_of_agents_that_are_none_are_counted_too() -> None:
    agents, authenticator = Mock(verify=AsyncMock(return_value=False)), Mock(stranger=AsyncMock())
    door = HttpDoor(Mock(), authenticator, agents, Mock())
    for headers, counted in ((b"Bearer gag_wrong", 1), (b"Basic YTpi", 1)):
        given = [(b"ganglion-agent", b"acme.no-agent"), (b"authorization", headers)]
        with pytest.raises(UnauthorizedError):
            await door.publish(Request({"type": "http", "method": "POST", "headers": given}))
        assert authenticator.stranger.await_count == counted


async def test_sockets_without_a_token_are_counted_where_they_are_opened(running: RunningGateway) -> None:
    here, ends = somewhere(), list[tuple[int | None, str | None]]()
    for _ in range(11):
        async with connect(f"ws://127.0.0.1:{running.port}/ws", additional_headers=here, proxy=None) as socket:
            with suppress(ConnectionClosed):
                await socket.send("{}")
            await socket.wait_closed()
            ends.append((socket.close_code, socket.close_reason))
    assert ends == [(4401, "unauthorized")] * 10 + [(1013, "rate_limited")]
    async with running.socket(token()) as alice:
        assert (await alice.receive())["type"] == "hello"


async def test_what_was_refused_is_counted_under_the_documents_name(running: RunningGateway) -> None:
    async def value(name: str) -> float:
        async with running.client("") as anyone:
            lines = (await anyone.get("/metrics")).text.splitlines()
        return next((float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name)), 0.0)

    names = ('reflex_rate_limit_rejected_total{dimension="ip"}', 'gateway_rate_limited_total{tier="address"}')
    before = [await value(name) for name in names]
    async with running.client("") as nobody:
        refused = sum(answer.status_code == 429 for answer in await flood(nobody, somewhere()))
    assert [await value(name) for name in names] == [was + refused for was in before]
    assert await value('reflex_rate_limit_duration_seconds_count{dimension="ip"}') > refused
