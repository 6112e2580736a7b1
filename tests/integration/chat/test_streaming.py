"""A turn as server-sent events: words as they come, then what was stored; a client that leaves cancels nothing."""

import asyncio
import json

import pytest

from consumers import _execution
from tests.support.deaf import deaf_reader, rest_of
from tests.support.eventually import eventually
from tests.support.parlour import BLOCKED, Json, Parlour, Talker, id_of, texts

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_words_come_as_they_are_said_and_the_stored_message_comes_last(parlour: Parlour, alice: Talker) -> None:
    parlour.guest.says = ["A fine ", "name."]
    parlour.guest.tools = [("look_up", {"q": "Pepper"}, {"n": 1})]
    parlour.guest.answers = lambda _: "A fine name."
    events = await alice.stream("My dog is called Pepper.")
    names = [name for name, _ in events]
    assert names[0] == "accepted"
    assert names[-2:] == ["message", "end"]
    said = "".join(str(data["text"]) for name, data in events if name == "token")
    assert said == "A fine name."
    assert [data["status"] for name, data in events if name == "status"] == [
        "ready",
        "assigned",
        "running",
        "succeeded",
    ]
    assert [data["tool_name"] for name, data in events if name == "tool_call"] == ["look_up"]
    message = dict(events)["message"]
    assert (message["role"], message["content"]) == ("assistant", "A fine name.")
    told = await alice.history(str(dict(events)["accepted"]["conversation_id"]))
    assert told["messages"][-1] == message  # type: ignore[index]  # JSON


async def test_words_are_there_while_the_agent_still_speaks(parlour: Parlour, alice: Talker) -> None:
    parlour.guest.says = ["Well, "]
    parlour.guest.go_on.clear()
    body: Json = {"message": "Go on."}
    headers = {"Accept": "text/event-stream"}
    async with (
        asyncio.timeout(20),
        alice.http.stream("POST", f"{alice.home}/chat", json=body, headers=headers) as answer,
    ):
        lines = answer.aiter_lines()
        async for line in lines:
            if line.startswith("data: ") and "Well, " in line:
                assert json.loads(line[6:])["text"] == "Well, "
                break
        parlour.guest.go_on.set()
        rest = [line async for line in lines]
    assert "event: message" in rest


async def test_a_turn_that_waits_says_what_for(parlour: Parlour, alice: Talker) -> None:
    said = await alice.say("one")
    parlour.guest.go_on.clear()
    first = asyncio.create_task(alice.say("two", id_of(said)))
    await parlour.guest.called(2)
    second = asyncio.create_task(alice.stream("three", id_of(said)))
    await eventually(lambda: parlour.waits("three"))
    parlour.guest.go_on.set()
    events = await second
    assert ("waiting", "session_busy") in [(data.get("status"), data.get("reason")) for _, data in events]
    assert [text for _, text in texts(await first)] == ["one", "re: one", "two", "re: two"]


async def test_what_is_refused_is_refused_with_its_own_status(alice: Talker) -> None:
    headers = {"Accept": "text/event-stream"}
    for body, status in (({"message": ""}, 400), ({"message": "x", "conversation_id": "nowhere"}, 404)):
        answer = await alice.http.post(f"{alice.home}/chat", json=body, headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


async def test_what_fails_later_is_an_error_event_with_the_same_problem(
    parlour: Parlour, alice: Talker, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = await alice.stream(BLOCKED)
    assert [name for name, _ in events][-2:] == ["error", "end"]
    assert (dict(events)["error"]["error_code"], dict(events)["error"]["status"]) == ("blocked_by_policy", 422)
    monkeypatch.setattr(_execution, "TURN_SECONDS", 0.3)
    parlour.guest.go_on.clear()
    late = dict(await alice.stream("one"))["error"]
    assert (late["error_code"], late["status"]) == ("agent_timeout", 504)


async def test_a_client_that_hangs_up_cancels_nothing(parlour: Parlour, alice: Talker) -> None:
    parlour.guest.go_on.clear()
    body: Json = {"message": "Go on."}
    headers = {"Accept": "text/event-stream"}
    async with alice.http.stream("POST", f"{alice.home}/chat", json=body, headers=headers) as answer:
        async for line in answer.aiter_lines():
            if "running" in line:
                break
    turn = asyncio.create_task(alice.post("And a plain one."))
    await parlour.guest.called(2)
    turn.cancel()
    parlour.guest.go_on.set()
    assert parlour.guest.stopped == 0
    for prompt in ("Go on.", "And a plain one."):
        await eventually(lambda prompt=prompt: parlour.answered(prompt))  # type: ignore[misc]  # bound at once


async def test_a_client_that_does_not_read_is_sent_away_and_told_where_to_go_on(
    parlour: Parlour, alice: Talker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.live.sse.STALLED_AFTER", 0.2)
    parlour.guest.go_on.clear()
    parlour.guest.tools = [("look_up", {}, {"text": "x" * 300_000})] * 16
    body = json.dumps({"message": "Go on."}).encode()
    streams = parlour.gateway.gateway.streams
    asked = f"POST {alice.home}/chat"
    async with deaf_reader(parlour.gateway.port, asked, b"event: accepted", owner=alice.owner, body=body) as reader:
        await eventually(lambda: streams.count == 1)
        await eventually(lambda: streams.count == 0, within=20)
        *shown, (left, told), (end, _) = await rest_of(reader)
    assert (left, end) == ("left", "end")
    assert ("tool_call", 300_000) in [
        (name, len(str(data.get("result"))) - len("{'text': ''}")) for name, data in shown
    ]
    parlour.guest.go_on.set()
    async with asyncio.timeout(20):
        answer = await alice.http.get(
            f"{told['stream']}?after={told['after']}", headers={"Accept": "text/event-stream"}
        )
    assert "event: task.succeeded" in answer.text
    assert answer.text.count("event: run.tool_called") + len([name for name, _ in shown if name == "tool_call"]) == 16
    assert await parlour.answered("Go on.")


async def test_a_repeat_with_the_same_key_shows_the_same_message(alice: Talker) -> None:
    headers = {"Accept": "text/event-stream", "Idempotency-Key": "once"}
    shown = []
    for _ in range(2):
        answer = await alice.http.post(f"{alice.home}/chat", json={"message": "Once."}, headers=headers)
        shown.append([line for line in answer.text.split("\n") if '"role"' in line])
    assert len(shown[0]) == 1
    assert shown[0] == shown[1]


async def test_a_gateway_that_stops_tells_who_waits_where_to_look(parlour: Parlour, alice: Talker) -> None:
    parlour.guest.go_on.clear()
    plain = asyncio.create_task(alice.post("one"))
    streamed = asyncio.create_task(alice.stream("two"))
    await parlour.guest.called(2)
    parlour.gateway.gateway.waiting.drain()
    answer = await plain
    assert (answer.status_code, answer.headers["location"]) == (202, answer.json()["links"]["self"])
    events = await streamed
    assert [name for name, _ in events][-2:] == ["left", "end"]
    parlour.guest.go_on.set()
    for prompt in ("one", "two"):
        await eventually(lambda prompt=prompt: parlour.answered(prompt))  # type: ignore[misc]  # bound at once


async def test_who_wants_no_stream_gets_none(alice: Talker) -> None:
    answer = await alice.post("hello", Accept="application/json, text/event-stream;q=0")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
