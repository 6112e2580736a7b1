"""However many ask whether work can be taken, the servers are asked by one of them at a time."""

import asyncio
from unittest.mock import AsyncMock, Mock

import orjson
import pytest

from events.errors import StoreUnavailableError
from gateway.operations.health import HealthRoutes


async def test_those_who_ask_at_the_same_time_share_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answered = asyncio.Event(), asyncio.Event()

    async def slowly(_: object) -> None:
        asked.set()
        await answered.wait()
        raise StoreUnavailableError

    database = AsyncMock(side_effect=slowly)
    monkeypatch.setattr("gateway.operations.health.answers", database)
    finding = Mock(shown=Mock(return_value={"ok": True}))
    finding.name = "disk"
    health = HealthRoutes(
        bus=Mock(answers=AsyncMock()),
        engine=Mock(),
        commits=Mock(has_begun=True, is_silent=False),
        lag=Mock(seconds=0.0),
        hub=Mock(is_open=True),
        metrics=Mock(),
        checkup=Mock(now=AsyncMock(return_value=(finding,)), is_degraded=False, read=frozenset()),
    )
    asking = [
        asyncio.create_task(ask) for _ in range(10) for ask in (health.readyz(), health.ready(), health.readyz(""))
    ]
    await asked.wait()
    asking[0].cancel()
    answered.set()
    answers = await asyncio.gather(*asking[1:])
    assert database.await_count == 1
    assert {answer.status_code for answer in answers} == {503}
    shown = [orjson.loads(answer.body).get("checks") for answer in answers]
    assert {tuple(checks) for checks in shown if checks} == {
        ("database", "bus", "keeper", "reflex_layer"),
        ("nats", "postgres", "keeper", "hub", "disk"),
    }
    await health.ready()
    assert database.await_count == 2
