"""A conversation over HTTP, from its first message on: what is kept, in which order, and what the agent is given."""

from typing import cast

from tests.support.parlour import Json, Parlour, Talker, id_of, texts


async def test_the_first_message_opens_a_conversation_and_is_answered(parlour: Parlour, alice: Talker) -> None:
    said = await alice.say("My dog is called Pepper.")
    assert (said["status"], said["error_code"], said["error_message"]) == ("success", None, None)
    assert texts(said) == [("user", "My dog is called Pepper."), ("assistant", "re: My dog is called Pepper.")]
    messages = cast("list[Json]", said["messages"])
    assert [message["seq"] for message in messages] == [1, 2]
    assert {"id", "role", "content", "created_at", "tool_calls"} <= messages[0].keys()
    listed = (await alice.http.get("/api/alice/conversations")).json()
    assert [(one["id"], one["title"]) for one in listed] == [(id_of(said), "My dog is called Pepper.")]
    assert parlour.guest.given[0].history == ()
