"""A room over NATS, from outside: plain nats-py, no HTTP."""

import json
from collections.abc import AsyncGenerator

import pytest
from pydantic import JsonValue

from gateway.door import watching
from tests.support.doorstep import CONTROL, Doorstep, Outsider, event
from tests.support.running_gateway import token

pytestmark = pytest.mark.asyncio(loop_scope="module")

Frame = dict[str, JsonValue]
LAST = {"end", "error", "again"}


async def watch(outsider: Outsider, **asked: JsonValue) -> AsyncGenerator[Frame]:
    """The frames of a watch, to its end."""
    inbox = outsider.client.new_inbox()
    heard = await outsider.client.subscribe(inbox)
    await outsider.client.publish(f"watch.{outsider.tenant}", json.dumps(asked).encode(), reply=inbox)
    while True:
        message = await heard.next_msg(timeout=10)
        for line in message.data.splitlines():
            frame: Frame = json.loads(line)
            yield frame
            if frame["type"] in LAST:
                await heard.unsubscribe()
                return


async def frames(outsider: Outsider, **asked: JsonValue) -> list[Frame]:
    return [frame async for frame in watch(outsider, **asked)]


async def test_a_task_is_watched_from_its_beginning_to_its_end(doorstep: Doorstep) -> None:
    async with doorstep.outsider() as alice:
        task_id = (await alice.ask(event())).body["task_id"]
        seen = []
        async for frame in watch(alice, room=f"task:{task_id}", after="0"):
            seen.append(frame.get("event", frame["type"]))
            if frame.get("event") == "task.submitted":
                await alice.ask(event(type=CONTROL, data={"task_id": task_id, "action": "cancel"}))
        again = [frame.get("event") for frame in await frames(alice, room=f"task:{task_id}", after="0")]
    assert seen == ["subscribed", "task.submitted", "task.control", "task.cancelled", "end"]
    assert again[1:4] == seen[1:4]


async def test_a_cursor_resumes_where_it_stands(doorstep: Doorstep) -> None:
    async with doorstep.outsider() as alice:
        asked = await alice.ask(event())
        await alice.ask(event(type=CONTROL, data={"task_id": asked.body["task_id"], "action": "cancel"}))
        seen = await frames(alice, room=f"task:{asked.body['task_id']}", after=asked.body["cursor"])
    assert [frame.get("event") for frame in seen if frame["type"] == "event"] == ["task.control", "task.cancelled"]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"room": "task:00000000-0000-4000-8000-000000000000"}, "not_found"),
        ({"room": "nowhere"}, "not_found"),
        ({"room": "system"}, "missing_scope"),
        ({"room": "tasks", "after": "x"}, "invalid_cursor"),
        ({"room": "tasks", "more": 1}, "invalid_request"),
        ({}, "invalid_request"),
    ],
)
async def test_what_cannot_be_watched_is_refused(asked: Frame, code: str, doorstep: Doorstep) -> None:
    async with doorstep.outsider() as alice:
        (refused,) = await frames(alice, **asked)
    assert (refused["type"], refused["code"]) == ("error", code)


async def test_nobody_watches_another_owners_task_or_without_the_scope(doorstep: Doorstep) -> None:
    async with (
        doorstep.outsider() as alice,
        doorstep.outsider("bob") as bob,
        doorstep.outsider("carol", bearer=token("carol", scopes=("tasks:write",))) as writer,
    ):
        room = f"task:{(await alice.ask(event())).body['task_id']}"
        assert [frame["code"] for frame in await frames(bob, room=room, after="0")] == ["not_found"]
        assert [frame["code"] for frame in await frames(writer, room=room, after="0")] == ["missing_scope"]


async def test_a_tenant_that_watches_all_it_may_leaves_room_for_others(
    doorstep: Doorstep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "AT_ONCE", 4)
    async with doorstep.outsider() as alice, doorstep.outsider("eve", tenant="other") as eve:
        held = [watch(alice, room="tasks") for _ in range(2)]
        assert [(await anext(one))["type"] for one in held] == ["subscribed"] * 2
        assert (await frames(alice, room="tasks"))[0]["code"] == "overloaded"
        assert (await anext(watch(eve, room="tasks")))["type"] == "subscribed"


async def test_a_watch_ends_after_a_while_with_where_to_go_on(
    doorstep: Doorstep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "LASTS", 0.3)
    async with doorstep.outsider() as alice:
        asked = await alice.ask(event())
        seen = await frames(alice, room=f"task:{asked.body['task_id']}", after="0")
    assert [frame["type"] for frame in seen] == ["subscribed", "event", "again"]
    assert seen[-1]["after"] == asked.body["cursor"]
