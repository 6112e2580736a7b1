"""Sockets and streams of one user are bounded, so that others find room."""

import httpx
import pytest

from tests.support.eventually import eventually
from tests.support.running_gateway import RunningGateway, token


async def test_one_user_cannot_take_every_place(
    gateway: RunningGateway, alice: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway.gateway.places, "most", 2)
    stream = "/api/v1/stream?room=tasks"
    async with gateway.socket() as first:
        await first.until("hello")
        async with alice.stream("GET", stream) as second:
            assert second.status_code == 200
            lines = second.aiter_lines()  # whoever lets go of it has closed the stream
            await anext(lines)
            refused = await alice.get(stream)
            assert (refused.status_code, refused.json()["code"]) == (429, "too_many_open")
            async with gateway.socket() as third:
                assert await third.closed() == (1013, "too_many_open")
            async with gateway.socket(token("bob")) as other:
                await other.until("hello")
            await first.send(type="auth", token=token())  # a renewed token takes no place of its own
            await first.send(type="ping")
            await first.until("pong")
    await eventually(lambda: not gateway.gateway.places.open)
    async with gateway.socket() as again:
        await again.until("hello")
