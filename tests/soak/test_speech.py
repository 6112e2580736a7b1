"""The soak's speaker outlives what the product outlives: a bus that answers late."""

from typing import cast

import pytest
from nats.aio.client import Client
from nats.errors import TimeoutError as NatsTimeoutError

from events.base import Event
from events.ids import new_id
from events.task import TaskControl
from tests.soak.speech import publish


class LateBus:
    """Refuses to answer twice, then does."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    def jetstream(self, **_: float) -> "LateBus":
        return self

    async def publish(self, _: str, __: bytes, headers: dict[str, str]) -> None:
        self.ids.append(headers["Nats-Msg-Id"])
        if len(self.ids) < 3:
            raise NatsTimeoutError


async def test_a_publish_that_is_not_answered_is_repeated_with_the_same_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.soak.speech.AGAIN", 0.0)
    bus = LateBus()
    control = TaskControl(task_id=new_id(), action="cancel", by="a")
    event = Event.first(control, source="/soak", tenant="acme", owner="a")
    await publish(cast("Client", bus), event)
    assert bus.ids == [event.id] * 3
