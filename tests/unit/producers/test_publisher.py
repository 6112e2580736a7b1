"""The publisher beside the bus: what nobody waits for."""

import asyncio
import gc
from typing import cast

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from events.errors import LogFullError, OutcomeUnknownError
from producers.publisher import Publisher
from tests.support.eventually import eventually
from tests.support.running_keeper import submitted

FULL = b'{"error": {"code": 503, "err_code": 10077, "description": "maximum messages exceeded"}}'


class Silent:
    """A connected client of a server that says nothing."""

    is_connected = True
    max_payload = 1_000_000

    def new_inbox(self) -> str:
        return "_INBOX.x"

    async def subscribe(self, *_: object, **__: object) -> "Silent":
        return self

    async def unsubscribe(self) -> None: ...

    async def publish(self, *_: object, **__: object) -> None: ...


@pytest.mark.parametrize("answered", [True, False])
async def test_what_fails_and_nobody_waits_for_is_no_error_in_the_log(answered: bool) -> None:  # noqa: FBT001 - pytest's
    complaints: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, said: complaints.append(said))
    async with Publisher(cast("Client", Silent()), timeout=0.1) as publisher:
        kept = await publisher.send(submitted())
        await publisher.send(submitted())
        if answered:
            for token in (1, 2):
                publisher._on_ack(Msg(cast("Client", None), f"_INBOX.x.{token}", "", FULL))
        with pytest.raises(LogFullError if answered else OutcomeUnknownError):  # who waits is told all the same
            await kept
        await eventually(lambda: not publisher.in_flight)
    if publisher._timer is not None:
        await asyncio.wait({publisher._timer})  # it forgets the future
    publisher._timer = None
    gc.collect()
    assert complaints == []
