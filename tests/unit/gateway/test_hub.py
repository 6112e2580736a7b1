"""The hub goes on behind whatever lies on the bus."""

import asyncio
import time
from datetime import UTC, datetime
from typing import cast

import orjson
import pytest
from pydantic import JsonValue

from events.cursor import Cursor
from gateway.lag import Lag
from gateway.live.hub import Hub
from gateway.live.outlet import QueueOutlet
from gateway.live.rooms import Room
from gateway.live.subscription import Subscription
from gateway.live.ws import JsonFrames
from gateway.metrics import Metrics
from producers.reader import Delivery, Hole, Reader
from storage.log import Identified

STAMP = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1e9)
GOOD: dict[str, JsonValue] = {
    "specversion": "1.0",
    "id": "1",
    "source": "/consumers/keeper",
    "type": "io.ganglion.task.running.v1",
    "tenantid": "acme",
    "ownerid": "alice",
    "taskid": "01a1fcd0-be56-72cd-8bdd-2b0519222866",
    "data": {},
}


def hub() -> Hub:
    async def latest_ids(_: Cursor, __: int) -> list[Identified]:
        return []

    made = Hub(latest_ids, Lag(time.monotonic), Metrics())
    made._begin(Cursor("e", 0))
    return made


def delivery(seq: int, body: bytes) -> Delivery:
    return Delivery(seq, STAMP, "bus.acme.task.running.1", body, None)


def with_data(data: str) -> bytes:
    return orjson.dumps(GOOD).replace(b'"data":{}', f'"data":{data}'.encode())


@pytest.mark.parametrize(
    "body",
    [
        *(orjson.dumps({**GOOD, name: ["1"]}) for name in ("id", "source", "tenantid", "ownerid", "taskid")),
        orjson.dumps({**GOOD, "sessionid": {}}),
        with_data('{"a":' * 300 + "1" + "}" * 300),
    ],
)
async def test_what_nobody_can_be_shown_is_passed_over(body: bytes) -> None:
    made, outlet = hub(), QueueOutlet()
    reader = Subscription(Room("tasks", "acme", "alice"), outlet, JsonFrames("a"))
    made.join(reader)
    reader.go_live(())
    made._take(delivery(1, body))
    assert (made.position, made.recent.end, outlet.empty) == (Cursor("e", 1), Cursor("e", 1), True)
    made._take(delivery(2, orjson.dumps({**GOOD, "id": "2"})))
    assert (outlet.last, outlet.empty) == (Cursor("e", 2), False)
    assert reader.state == "live"


class Silent:
    """A reader of a log to which nothing is added."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.given_up = asyncio.Event()

    async def batch(self) -> list[Delivery | Hole]:
        self.asked.set()
        try:
            return await asyncio.Future[list[Delivery | Hole]]()
        finally:
            self.given_up.set()


async def test_who_ends_the_hub_ends_its_reading_too_before_the_reader_is_closed() -> None:
    silent = Silent()
    following = asyncio.create_task(hub()._follow(cast("Reader", silent)))
    async with asyncio.timeout(5):
        await silent.asked.wait()
        following.cancel()
        await silent.given_up.wait()
        await asyncio.gather(following, return_exceptions=True)
    assert following.cancelled()
