"""Who waits for a turn follows it from before its event was published, whatever the hub is about."""

import random

import pytest

from events.cursor import Cursor
from gateway.chat.waiting import TurnWire, Waiting
from gateway.live import replay
from gateway.live.rooms import Room
from tests.support.eventually import eventually
from tests.unit.gateway.test_replay_model import World


async def test_what_happens_to_a_turn_while_the_hub_begins_anew_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(random.Random(0))
    monkeypatch.setattr(replay, "entries", world.entries)
    monkeypatch.setattr(replay, "has_gap", world.has_gap)
    monkeypatch.setattr(replay, "has_archived", world.has_archived)
    world.hub._begin(Cursor("a", 0))
    wire = TurnWire(streaming=False)
    assert not world.hub.is_open, "it has read, and begins anew"
    with Waiting(world.hub, world.replayer).on(Room("tasks", "t", "alice"), wire):
        while "alice-1" not in world.stream.values():
            world.made = 0
            await world.publish()
        while world.folded < world.last_seq:
            await world.fold()
        await world.begin()
        await eventually(lambda: wire.status == "running", within=2)
    await eventually(lambda: not world.replayer._tasks)
