"""An assignment or an advisory in hand is settled only if its queue is the one that it came from."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast
from unittest.mock import AsyncMock
from uuid import uuid4

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from consumers.undertaker import Advisory, Undertaker
from producers.agents.line import Lines
from producers.agents.registering import Registration
from producers.agents.run import Run
from producers.agents.worker import ACK, Worker
from producers.origins import Origin, Origins
from producers.publisher import Publisher
from producers.pull import Pull

ORIGIN = Origin(cast("Pull", None))


@pytest.fixture(params=[True, False])
def is_still_there(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the queue is the one that it was."""

    async def still(_: Origins, __: Origin, *, patience: float = 0.0) -> bool:
        return bool(request.param) and patience > 0

    monkeypatch.setattr(Origins, "still", still)
    return bool(request.param)


async def test_an_agent_settles_what_is_still_its_queues(
    *, is_still_there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle = AsyncMock()
    monkeypatch.setattr(Lines, "settle", settle)
    worker = Worker(AsyncMock(), cast("Registration", None), "", "", slots=1)
    worker._origins = Origins(cast("Client", None), "WORK", "queue")
    message, run_id = cast("Msg", SimpleNamespace()), uuid4()
    worker._messages[run_id] = message, ORIGIN
    worker._runs[run_id] = cast("Run", AsyncMock())
    await worker._work(run_id, worker._runs[run_id])
    assert [call.args for call in settle.await_args_list] == ([(message, ACK)] if is_still_there else [])


@pytest.mark.parametrize("body", ["nonsense", '{"timestamp": "2026-01-01T00:00:00Z", "consumer": "reflex"}', "{}"])
async def test_the_undertaker_settles_what_is_still_its_durables(body: str, *, is_still_there: bool) -> None:
    undertaker = Undertaker(cast("Client", None), cast("Publisher", None))
    message = SimpleNamespace(data=body.encode(), ack=AsyncMock(), term=AsyncMock(), nak=AsyncMock())
    await undertaker._take(cast("Msg", message), ORIGIN)
    assert (message.term.await_count, message.ack.await_count) == (int(is_still_there), 0)


async def test_nor_does_it_acknowledge_or_delay_what_is_not(
    *, is_still_there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = Advisory(timestamp=datetime(2026, 1, 1, tzinfo=UTC), consumer="reflex", stream_seq=1, deliveries=10)
    undertaker = Undertaker(cast("Client", None), cast("Publisher", None))
    bury = AsyncMock(side_effect=[None, TimeoutError])
    monkeypatch.setattr(undertaker, "_bury", bury)
    for settled in ("ack", "nak"):
        message = SimpleNamespace(data=said.model_dump_json().encode(), ack=AsyncMock(), nak=AsyncMock())
        await undertaker._take(cast("Msg", message), ORIGIN)
        assert getattr(message, settled).await_count == int(is_still_there)
        assert message.ack.await_count + message.nak.await_count == int(is_still_there)
