"""A conversation over HTTP: what is kept, in which order, what the agent is given, and that nothing is remembered."""

import asyncio
import uuid
from typing import cast

import pytest

from consumers.keeper.rebuild import rebuild
from consumers.runner.agent import Said
from tests.support.parlour import BLOCKED, SECRET, Json, Parlour, Talker, id_of, texts

pytestmark = pytest.mark.asyncio(loop_scope="module")


def messages_of(conversation: Json) -> list[Json]:
    return cast("list[Json]", conversation["messages"])


async def test_the_first_message_opens_a_conversation_and_is_answered(parlour: Parlour, alice: Talker) -> None:
    said = await alice.say("My dog is called Pepper.")
    assert (said["status"], said["error_code"], said["error_message"]) == ("success", None, None)
    assert texts(said) == [("user", "My dog is called Pepper."), ("assistant", "re: My dog is called Pepper.")]
    assert [message["seq"] for message in messages_of(said)] == [1, 2]
    assert messages_of(said)[0].keys() >= {"id", "role", "content", "created_at", "tool_calls"}
    listed = (await alice.http.get(f"{alice.home}/conversations")).json()
    assert [(one["id"], one["title"]) for one in listed] == [(id_of(said), "My dog is called Pepper.")]
    assert parlour.guest.given[0].history == ()


async def test_every_later_turn_gets_all_that_was_said_in_order(parlour: Parlour, alice: Talker) -> None:
    first = await alice.say("one")
    for word in ("two", "three", "four", "five", "six"):
        said = await alice.say(word, id_of(first))
        assert id_of(said) == id_of(first)
    given = parlour.guest.given[-1]
    assert given.prompt == "six"
    expected = [(word, f"re: {word}") for word in ("one", "two", "three", "four", "five")]
    assert given.history == tuple(
        Said(role, text)  # type: ignore[arg-type]  # two of the roles
        for pair in expected
        for role, text in zip(("user", "assistant"), pair, strict=True)
    )
    whole = await alice.history(id_of(first))
    assert len(texts(whole)) == 12
    assert [message["seq"] for message in messages_of(whole)] == list(range(1, 13))
    times = [str(message["created_at"]) for message in messages_of(whole)]
    assert times == sorted(times)


async def test_what_is_said_and_answered_is_kept_exactly(parlour: Parlour, alice: Talker) -> None:
    message = "  Zoë's “dog”\r\n\tsays: 'woof' \\n \u2028 🐕‍🦺 <b>&amp;</b> '; DROP TABLE message; --  "
    parlour.guest.answers = lambda work: f"{work.prompt}\n" * 3
    said = await alice.say(message)
    assert texts(said) == [("user", message), ("assistant", f"{message}\n" * 3)]
    assert texts(await alice.history(id_of(said))) == texts(said)


async def test_a_long_answer_is_kept_whole(parlour: Parlour, alice: Talker) -> None:
    parlour.guest.answers = lambda _: "long answer " * 20_000
    said = await alice.say("Go on.")
    assert texts(said)[1][1] == "long answer " * 20_000


async def test_a_page_of_the_history_is_cut_where_it_was_asked_to(alice: Talker) -> None:
    first = await alice.say("one")
    await alice.say("two", id_of(first))
    page = await alice.history(id_of(first), skip=1, limit=2)
    assert texts(page) == [("assistant", "re: one"), ("user", "two")]
    assert page["total"] == 4
    assert texts(await alice.history(id_of(first), skip=4, limit=2)) == []


async def test_the_newest_activity_is_listed_first(alice: Talker) -> None:
    older, newer = await alice.say("older"), await alice.say("newer")
    listed = (await alice.http.get(f"{alice.home}/conversations")).json()
    assert [one["title"] for one in listed] == ["newer", "older"]
    await alice.say("again", id_of(older))
    listed = (await alice.http.get(f"{alice.home}/conversations")).json()
    assert [one["title"] for one in listed] == ["older", "newer"]
    assert listed[0]["updated_at"] > listed[0]["created_at"]
    paged = (await alice.http.get(f"{alice.home}/conversations", params={"skip": 1, "limit": 1})).json()
    assert [one["id"] for one in paged] == [id_of(newer)]


async def test_two_conversations_of_one_user_never_mix(parlour: Parlour, alice: Talker) -> None:
    work, home = await alice.say("work 1"), await alice.say("home 1")
    await asyncio.gather(alice.say("work 2", id_of(work)), alice.say("home 2", id_of(home)))
    for conversation, name in ((work, "work"), (home, "home")):
        told = texts(await alice.history(id_of(conversation)))
        assert [text for _, text in told] == [f"{name} 1", f"re: {name} 1", f"{name} 2", f"re: {name} 2"]
    for given in parlour.guest.given[2:]:
        assert all(given.prompt[:4] in said.text for said in given.history)


async def test_the_user_message_is_committed_before_the_agent_runs(parlour: Parlour, alice: Talker) -> None:
    parlour.guest.go_on.clear()
    turn = asyncio.create_task(alice.say("Anybody there?"))
    await parlour.guest.called(1)
    listed = (await alice.http.get(f"{alice.home}/conversations")).json()
    told = await alice.history(listed[0]["id"])
    assert texts(told) == [("user", "Anybody there?")]
    parlour.guest.go_on.set()
    assert len(texts(await turn)) == 2


async def test_a_repeat_with_the_same_key_doubles_nothing(parlour: Parlour, alice: Talker) -> None:
    key = uuid.uuid4().hex
    first = await alice.post("Once.", Idempotency_Key=key)
    again = await alice.post("Once.", Idempotency_Key=key)
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json()["messages"] == first.json()["messages"]
    other = await alice.post("Twice.", Idempotency_Key=key)
    assert (other.status_code, other.json()["error_code"]) == (409, "idempotency_conflict")
    assert len(parlour.guest.given) == 1
    assert len((await alice.http.get(f"{alice.home}/conversations")).json()) == 1


async def test_repeats_at_the_same_time_are_one_turn(parlour: Parlour, alice: Talker) -> None:
    key = uuid.uuid4().hex
    answers = await asyncio.gather(*(alice.post("Once.", Idempotency_Key=key) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({str(answer.json()["messages"]) for answer in answers}) == 1
    assert len(parlour.guest.given) == 1


async def test_a_blocked_message_is_no_part_of_the_conversation(parlour: Parlour, alice: Talker) -> None:
    said = await alice.say("one")
    blocked = await alice.post(f"{BLOCKED} please", id_of(said))
    assert blocked.status_code == 422
    body = blocked.json()
    assert (body["error_code"], body["code"]) == ("blocked_by_policy", "blocked_by_policy")
    assert body["conversation_id"] == id_of(said)
    assert "please" not in blocked.text
    after = await alice.say("two", id_of(said))
    assert [text for _, text in texts(after)] == ["one", "re: one", "two", "re: two"]
    assert len(parlour.guest.given) == 2
    assert all("re:" in one.text or one.text == "one" for one in parlour.guest.given[-1].history)


async def test_a_conversation_whose_first_message_is_blocked_is_not_listed(alice: Talker) -> None:
    assert (await alice.post(BLOCKED)).status_code == 422
    assert (await alice.http.get(f"{alice.home}/conversations")).json() == []


async def test_what_policy_redacts_never_reaches_the_agent_and_stays_readable_to_its_owner(
    parlour: Parlour, alice: Talker
) -> None:
    said = await alice.say(f"My number is {SECRET}.")
    again = await alice.say("What is my number?", id_of(said))
    assert texts(again)[0] == ("user", f"My number is {SECRET}.")
    given = parlour.guest.given
    assert given[0].prompt == "My number is [PHONE_1]."
    assert given[1].history[0] == Said("user", "My number is [PHONE_1].")
    assert SECRET not in str(given)
    listed = (await alice.http.get(f"{alice.home}/conversations")).json()
    assert listed[0]["title"] == "My number is [PHONE_1]."


async def test_every_use_of_a_tool_is_kept_exactly_and_belongs_to_its_answer(parlour: Parlour, alice: Talker) -> None:
    parameters: Json = {"title": "Buy milk", "nested": [2**70, {"x": None}], "ä": 1.5}
    parlour.guest.tools = [("add_task", parameters, {"id": 7}), ("list_tasks", {}, {"items": ["Buy milk"]})]
    said = await alice.say("Add a task.")
    calls = cast("list[Json]", messages_of(said)[1]["tool_calls"])
    assert [(call["tool_name"], call["parameters"], call["result"]) for call in calls] == [
        ("add_task", parameters, {"id": 7}),
        ("list_tasks", {}, {"items": ["Buy milk"]}),
    ]
    assert messages_of(said)[0]["tool_calls"] == []
    parlour.guest.tools = []
    later = await alice.say("Thanks.", id_of(said))
    assert messages_of(later)[3]["tool_calls"] == []
    listed = (await alice.http.get(f"{alice.home}/conversations/{id_of(said)}/tool_calls")).json()
    assert [(call["id"], call["message_id"]) for call in listed] == [
        (call["id"], messages_of(said)[1]["id"]) for call in calls
    ]


async def test_tools_of_a_turn_that_failed_can_still_be_read(parlour: Parlour, alice: Talker) -> None:
    said = await alice.say("one")
    parlour.guest.tools = [("delete_task", {"id": 7}, {"deleted": True})]
    parlour.guest.answers = lambda _: ValueError("a secret")
    turn = asyncio.create_task(alice.post("two", id_of(said)))
    await parlour.guest.called(2)
    task_id = await parlour.task_of("two")
    await alice.http.post(f"/api/v1/tasks/{task_id}/cancel")
    assert (await turn).status_code == 409
    listed = (await alice.http.get(f"{alice.home}/conversations/{id_of(said)}/tool_calls")).json()
    assert [(call["tool_name"], call["result"], call["message_id"]) for call in listed] == [
        ("delete_task", {"deleted": True}, None)
    ]


async def test_any_gateway_goes_on_with_the_conversation(parlour: Parlour, alice: Talker) -> None:
    said = await alice.say("one")
    other = await parlour.another_gateway()
    async with other.client(alice.http.headers["authorization"].removeprefix("Bearer ")) as client:
        there = Talker(alice.owner, client)
        await parlour.hears(client)
        on = await there.say("two", id_of(said))
        assert [text for _, text in texts(on)] == ["one", "re: one", "two", "re: two"]
        assert texts(await alice.history(id_of(said))) == texts(on)


async def test_the_log_alone_gives_the_same_conversations(parlour: Parlour, alice: Talker) -> None:
    await alice.say("And that was all.")
    await parlour.bus.folded()
    report = await rebuild(parlour.bus.database_url, swap=False)
    assert report.same, report
    assert {"session", "message", "tool_call"} <= {table.table for table in report.tables}
