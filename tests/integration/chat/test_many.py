"""Many turns at once, to one conversation and to many: dense numbers, none lost or doubled, one order for all."""

import asyncio
import gc
from typing import cast

import pytest

from gateway.chat.turn import Turn
from gateway.chat.waiting import TurnWire
from gateway.live import endings, hub
from gateway.live.recent import Recent
from gateway.live.subscription import Subscription
from storage.messages import MessageRow
from storage.sessions import SessionRow
from tests.support.eventually import eventually
from tests.support.parlour import Json, Parlour, Talker, id_of, texts

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_two_hundred_turns_at_once_to_one_conversation(parlour: Parlour, alice: Talker) -> None:
    conversation = id_of(await alice.say("first"))
    answers = await asyncio.gather(*(alice.post(f"turn {number}", conversation) for number in range(200)))
    assert {answer.status_code for answer in answers} <= {200, 202}
    await parlour.settled()
    whole = await alice.history(conversation)
    messages = cast("list[Json]", whole["messages"])
    assert [message["seq"] for message in messages] == list(range(1, 403))
    assert [message["role"] for message in messages] == ["user", "assistant"] * 201
    asked = [str(message["content"]) for message in messages[::2]]
    assert sorted(asked) == sorted(["first", *(f"turn {number}" for number in range(200))])
    assert [str(message["content"]) for message in messages[1::2]] == [f"re: {text}" for text in asked]
    assert parlour.guest.most_at_work == 1
    assert [given.prompt for given in parlour.guest.given] == asked
    assert all(len(given.history) == 2 * place for place, given in enumerate(parlour.guest.given))
    for answer in answers:
        if answer.status_code == 200:  # what each reader saw is the beginning of the one order there is
            seen = texts(answer.json())
            assert seen == texts(whole)[: len(seen)]
            assert seen[-1][0] == "assistant"


async def test_forty_conversations_at_once_do_not_mix(alice: Talker) -> None:
    first = await asyncio.gather(*(alice.say(f"opens {number}") for number in range(40)))
    second = await asyncio.gather(
        *(alice.say(f"goes on {number}", id_of(one)) for number, one in enumerate(first)),
    )
    for number, one in enumerate(second):
        opens, on = f"opens {number}", f"goes on {number}"
        assert [text for _, text in texts(one)] == [opens, f"re: {opens}", on, f"re: {on}"]


async def test_conversations_do_not_wait_for_each_other(parlour: Parlour, alice: Talker) -> None:
    parlour.guest.go_on.clear()
    turns = [asyncio.create_task(alice.say(f"opens {number}")) for number in range(5)]
    await parlour.guest.called(5)
    assert parlour.guest.at_work == 5
    parlour.guest.go_on.set()
    await asyncio.gather(*turns)


async def test_a_long_history_loads_whole(alice: Talker) -> None:
    conversation = id_of(await alice.say("0"))
    for number in range(1, 60):
        await alice.say(str(number), conversation)
    whole = await alice.history(conversation)
    assert [text for role, text in texts(whole) if role == "user"] == [str(number) for number in range(60)]


async def test_turns_that_wait_hold_no_connection_to_the_database(parlour: Parlour, alice: Talker, eve: Talker) -> None:
    known = await eve.say("hello")
    parlour.guest.go_on.clear()
    turns = [asyncio.create_task(alice.say(f"opens {number}")) for number in range(40)]
    await parlour.guest.called(41)
    assert len(texts(await eve.history(id_of(known)))) == 2
    parlour.guest.go_on.set()
    await asyncio.gather(*turns)


async def test_nothing_of_a_turn_is_left_in_the_process(alice: Talker) -> None:
    conversation = id_of(await alice.say("one"))
    await asyncio.gather(*(alice.say(f"turn {number}", conversation) for number in range(5)))
    await alice.stream("and one more", conversation)
    await eventually(lambda: _left_of(Turn, TurnWire, Subscription, SessionRow, MessageRow) == [])


async def test_the_memories_of_the_gateway_are_bounded_however_many_talk(
    parlour: Parlour, alice: Talker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its hub keeps of tasks that have ended, for who asks late or hears twice: the latest so many."""
    monkeypatch.setattr(hub, "_REMEMBERED", 16)
    monkeypatch.setattr(endings, "REMEMBERED", 16)
    told = parlour.gateway.gateway.hub
    monkeypatch.setattr(told, "recent", Recent(max_events=16))
    told.recent.begin(told.position)
    for size in (told._shown, told.endings._lately):
        size.clear()
    for rounds in range(3):
        await asyncio.gather(*(alice.say(f"opens {rounds} {number}") for number in range(10)))
        assert len(told._shown) == len(told.endings._lately) == 16 or not rounds
        assert len(told.endings._lately) <= len(told._shown) <= 16
        assert len(told.recent._frames) <= 2 * 16


def _left_of(*kinds: type) -> list[str]:
    gc.collect()
    return [type(found).__name__ for found in gc.get_objects() if isinstance(found, kinds)]
