"""A stream's reader that has stopped reading is sent away like a socket's: with the place to resume."""

from uuid import UUID

import httpx
import pytest

from tests.integration.gateway.test_sockets import submitted
from tests.support.deaf import deaf_reader, rest_of
from tests.support.eventually import eventually
from tests.support.fake_keeper import FakeKeeper
from tests.support.running_gateway import RunningGateway


@pytest.fixture
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway looks at once for readers that have stopped reading."""
    monkeypatch.setattr("gateway.live.sse.LOOKS_EVERY", 0.02)


def asked(task_id: UUID) -> str:
    """A task's room from its beginning."""
    return f"GET /api/v1/stream?room=task:{task_id}&after=0"


@pytest.mark.usefixtures("quick_looks")
async def test_a_stream_that_falls_too_far_behind_ends_with_the_place_to_resume(
    gateway: RunningGateway, alice: httpx.AsyncClient, keeper: FakeKeeper
) -> None:
    task_id = await submitted(alice)
    streams = gateway.gateway.streams
    async with deaf_reader(gateway.port, asked(task_id), b"event: subscribed") as reader:
        for _ in range(24):
            await keeper.enter(task_id, "running", {"text": "x" * 400_000})
        await eventually(lambda: streams.count == 0)
        *shown, (kind, last) = await rest_of(reader)
    cursors = [data["cursor"] for name, data in shown if name.startswith("task.")]
    assert (kind, last) == ("error", {"code": "4408", "detail": cursors[-1]})
    assert cursors == [f"{keeper.epoch}-{seq}" for seq in range(1, len(cursors) + 1)]
    assert len(cursors) < 25


@pytest.mark.usefixtures("quick_looks")
async def test_a_stream_whose_reader_takes_nothing_ends_though_nothing_more_happens(
    gateway: RunningGateway, alice: httpx.AsyncClient, keeper: FakeKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.live.sse.STALLED_AFTER", 0.2)
    task_id = await submitted(alice)
    for _ in range(24):
        await keeper.enter(task_id, "running", {"text": "x" * 400_000})
    streams = gateway.gateway.streams
    async with deaf_reader(gateway.port, asked(task_id), b"event: subscribed") as reader:
        await eventually(lambda: streams.count == 0)
        assert (await rest_of(reader))[-1][1]["code"] == "4408"
    assert "gateway_slow_readers_total 1.0" in (await alice.get("/metrics")).text
