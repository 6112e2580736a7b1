"""A watch over NATS that ends says where to go on: behind what was told, whatever has come since."""

from dataclasses import dataclass, field

import orjson
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from pydantic import JsonValue

from events.cursor import Cursor
from gateway.door.watching import Lines, _pump, _Watch
from gateway.live.frames import Envelope, Frame
from gateway.live.outlet import QueueOutlet
from gateway.live.rooms import Ids, Room
from gateway.live.subscription import Subscription


@dataclass
class Bus:
    """A connection that keeps what is published."""

    max_payload: int = 1024 * 1024
    said: list[dict[str, JsonValue]] = field(default_factory=list)

    async def publish(self, _: str, body: bytes) -> None:
        self.said += [orjson.loads(line) for line in body.splitlines()]


def frame(seq: int) -> Frame:
    envelope = Envelope("run.progress", ("/x", str(seq)), "acme", "alice", Ids("t", None, None), {})
    return Frame(envelope, Cursor("e", seq), b'"cursor":"e-%d"}' % seq)


def watch(after: str | None) -> _Watch:
    outlet, encoding = QueueOutlet(), Lines()
    return _Watch(Subscription(Room("tasks", "acme", "alice"), outlet, encoding), outlet, encoding, after)


async def told(watch: _Watch, bus: Bus) -> list[dict[str, JsonValue]]:
    await _pump(bus, Msg(Client(), "watch.acme", "_INBOX.1"), watch)  # type: ignore[arg-type]  # enough of a client
    return bus.said


async def test_what_comes_after_the_last_word_is_not_passed_over() -> None:
    one = watch(None)
    one.subscription.go_live(())
    one.subscription.deliver(frame(1))
    one.outlet.close(1012, "again")
    one.subscription.deliver(frame(2))
    said = await told(one, Bus())
    assert [line.get("cursor") for line in said] == ["e-1", None]
    assert said[-1] == {"type": "again", "after": "e-1"}


@pytest.mark.parametrize("after", ["0", "e-7", None])
async def test_who_was_told_nothing_yet_begins_where_it_wanted_to(after: str | None) -> None:
    one = watch(after)
    one.outlet.close(1012, "restart")
    assert await told(one, Bus()) == [{"type": "again", "after": after}]


async def test_who_was_to_be_told_all_and_has_seen_nothing_of_it_is_still_told_all() -> None:
    one = watch("0")
    one.subscription.say("subscribed", {"from": "0", "recovered": True}, cursor=Cursor("", 0))
    one.outlet.close(1012, "restart")
    assert (await told(one, Bus()))[-1] == {"type": "again", "after": "0"}
