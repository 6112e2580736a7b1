"""What is in hand is kept alive, whatever happens to one sign of life."""

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import ConnectionClosedError

from consumers._feed import Feed
from consumers._runtime import Flow
from events import Event, EventData, TaskSubmitted
from events.streams import Durable
from producers.origins import Origin, Origins
from producers.publisher import Publisher
from producers.pull import Pull

QUICK = Durable("probe", (TaskSubmitted,), ack_wait=0.03)


async def _still(_: Origins, __: Origin) -> bool:
    return True


async def _nothing(_: Event[EventData]) -> Sequence[EventData]:
    return ()


@pytest.mark.parametrize("error", [ConnectionClosedError(), RuntimeError("the handler is closed"), OSError("reset")])
async def test_a_sign_of_life_that_could_not_be_sent_is_not_the_last(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats, again = 0, asyncio.Event()

    class Held(Msg):
        async def in_progress(self) -> None:
            nonlocal beats
            beats += 1
            if beats == 1:
                raise error
            again.set()

    feed = Feed(cast("Client", None), cast("Publisher", None), Flow(QUICK, _nothing))
    monkeypatch.setattr(Origins, "still", _still)
    feed._hold([Held(cast("Client", None), "bus.t.x", "$JS.ACK.BUS.probe.1.1.1.1.0")], Origin(cast("Pull", None)))
    beating = asyncio.create_task(feed._beat())
    try:
        async with asyncio.timeout(5):
            await again.wait()
    finally:
        beating.cancel()
