"""What a conversation refuses, and how it says so; after every error the conversation is as it was."""

import asyncio
from typing import cast

import httpx
import pytest

from consumers import _execution
from events.errors import PermanentError, TransientError
from gateway.chat import waiting
from tests.support.eventually import eventually
from tests.support.parlour import BLOCKED, Json, Parlour, Talker, id_of, texts
from tests.support.proxy import proxied

pytestmark = pytest.mark.asyncio(loop_scope="module")


def error_of(answer: httpx.Response, status: int) -> Json:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: Json = answer.json()
    assert body["error_code"] == body["code"]
    assert body["detail"]
    assert "Traceback" not in answer.text
    return body


async def test_nobody_talks_without_a_token(parlour: Parlour) -> None:
    async with parlour.gateway.client("") as nobody:
        for answer in (
            await nobody.post("/api/alice/chat", json={"message": "hi"}),
            await nobody.get("/api/alice/conversations/x/history"),
        ):
            assert error_of(answer, 401)["error_code"] == "unauthorized"
        assert (await nobody.get("/api/alice/conversations")).status_code == 401
    assert parlour.guest.given == []


async def test_a_token_that_may_only_read_says_nothing(parlour: Parlour) -> None:
    reader = await parlour.client("reader", scopes=("tasks:read",))
    assert error_of(await reader.post("hi"), 403)["error_code"] == "missing_scope"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"message": ""},
        {"message": " \n\t "},
        {"message": "x" * 5_001},
        {"message": 5},
        {"message": None},
        {"message": "hi", "more": 1},
        {"message": "hi", "conversation_id": 5},
        {"message": "hi", "conversation_id": ""},
        {"message": "hi", "conversation_id": "x" * 65},
        {"message": "a\0b"},
        [],
        "hi",
    ],
)
async def test_a_bad_message_is_a_bad_request(alice: Talker, body: object) -> None:
    answer = await alice.http.post(f"{alice.home}/chat", json=body)
    assert error_of(answer, 400)["error_code"] == "invalid_message"
    assert (await alice.http.get(f"{alice.home}/conversations")).json() == []


async def test_the_longest_message_is_taken(alice: Talker) -> None:
    said = await alice.say("🐕" * 5_000)
    assert texts(said)[0] == ("user", "🐕" * 5_000)


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"{}", "text/plain", 415),
        (b'{"message":"' + b"x" * 2**20, "application/json", 413),
    ],
)
async def test_what_is_no_json_is_refused(alice: Talker, content: bytes, kind: str, status: int) -> None:
    answer = await alice.http.post(f"{alice.home}/chat", content=content, headers={"Content-Type": kind})
    error_of(answer, status)


@pytest.mark.parametrize("unknown", ["5f1f9dd8-5f0f-4f6a-9a55-1f6c9a3a7b11", "no-such-one", "*", "../x", "a b"])
async def test_an_unknown_conversation_is_not_found(parlour: Parlour, alice: Talker, unknown: str) -> None:
    assert error_of(await alice.post("hi", unknown), 404)["error_code"] == "conversation_not_found"
    assert parlour.guest.given == []
    read = await alice.http.get(f"{alice.home}/conversations/nowhere/history")
    assert error_of(read, 404)["error_code"] == "conversation_not_found"


async def test_somebody_elses_conversation_is_forbidden_and_another_tenants_is_unknown(
    parlour: Parlour, alice: Talker, eve: Talker
) -> None:
    """Requirements 003, T037: 403 is what the document demands of the routes of chat, and of these alone."""
    conversation = id_of(await alice.say("Mine."))
    stranger = await parlour.client(alice.owner, tenant="elsewhere")
    for who, status, code in ((eve, 403, "foreign_conversation"), (stranger, 404, "conversation_not_found")):
        home = f"{who.home}/conversations/{conversation}"
        reads = [await who.http.get(f"{home}/{path}") for path in ("history", "tool_calls")]
        for answer in (await who.post("hi", conversation), *reads):
            assert error_of(answer, status)["error_code"] == code


@pytest.mark.parametrize("nobody", ["a%00b", "%F0%9F%90%9D", "a%20b"])
async def test_what_cannot_be_an_id_is_no_conversation(alice: Talker, nobody: str) -> None:
    for path in ("history", "tool_calls"):
        answer = await alice.http.get(f"{alice.home}/conversations/{nobody}/{path}")
        assert error_of(answer, 404)["error_code"] == "conversation_not_found"


async def test_the_path_must_name_who_asks(alice: Talker, eve: Talker) -> None:
    for path in ("conversations", "conversations/x/history", "conversations/x/tool_calls"):
        assert error_of(await eve.http.get(f"{alice.home}/{path}"), 403)["error_code"] == "foreign_user"
    answer = await eve.http.post(f"{alice.home}/chat", json={"message": "hi"})
    assert error_of(answer, 403)["error_code"] == "foreign_user"


async def test_parameters_that_do_not_fit_are_refused(alice: Talker) -> None:
    for query in ({"skip": -1}, {"limit": 0}, {"limit": 101}, {"skip": "x"}):
        assert (await alice.http.get(f"{alice.home}/conversations", params=query)).status_code == 422


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (PermanentError("The tool does not exist."), 502, "internal_error"),
        (TransientError("The model rests."), 503, "unavailable"),
        (ValueError("a secret of the stack"), 503, "agent_error"),
    ],
)
async def test_an_agents_failure_is_no_answer_and_the_conversation_goes_on(
    parlour: Parlour, alice: Talker, failure: Exception, status: int, code: str
) -> None:
    retryable = status == 503
    said = await alice.say("one")
    parlour.guest.answers = lambda _: failure
    turn = asyncio.create_task(alice.post("two", id_of(said)))
    await parlour.retry_at_once(3 if retryable else 1, "two")
    answer = await turn
    body = error_of(answer, status)
    assert (body["error_code"], body["retryable"], body["conversation_id"]) == (code, retryable, id_of(said))
    assert "secret" not in answer.text
    assert ("retry-after" in answer.headers) is retryable
    parlour.guest.answers = lambda given: f"re: {given.prompt}"
    after = await alice.say("three", id_of(said))
    assert texts(after) == [
        ("user", "one"),
        ("assistant", "re: one"),
        ("user", "two"),
        ("user", "three"),
        ("assistant", "re: three"),
    ]
    statuses = [message["turn_status"] for message in after["messages"]]  # type: ignore[union-attr,index,call-overload]  # JSON
    assert statuses == ["succeeded", "succeeded", "failed", "succeeded", "succeeded"]


async def test_an_agent_that_takes_too_long_is_stopped_and_nothing_of_it_is_kept(
    parlour: Parlour, alice: Talker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_execution, "TURN_SECONDS", 0.4)
    said = await alice.say("one")
    parlour.guest.go_on.clear()
    body = error_of(await alice.post("two", id_of(said)), 504)
    assert (body["error_code"], body["retryable"]) == ("agent_timeout", True)
    await eventually(lambda: parlour.guest.stopped == 1)
    task = (await alice.http.get(f"/api/v1/tasks/{body['task_id']}")).json()
    assert (task["status"], task["reason"]) == ("timed_out", "agent_timeout")
    parlour.guest.go_on.set()
    after = await alice.say("three", id_of(said))
    assert [text for _, text in texts(after)] == ["one", "re: one", "two", "three", "re: three"]


async def test_a_runner_that_hangs_gives_a_timeout_too(
    parlour: Parlour, alice: Talker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "RUNNING", 0.3)
    parlour.guest.go_on.clear()
    body = error_of(await alice.post("one"), 504)
    assert body["error_code"] == "agent_timeout"
    await alice.http.post(f"/api/v1/tasks/{body['task_id']}/cancel")


async def test_a_turn_that_does_not_begin_in_time_is_accepted_and_can_be_followed(
    parlour: Parlour, alice: Talker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "QUEUED", 0.3)
    parlour.guest.go_on.clear()
    first = asyncio.create_task(alice.post("one"))
    await parlour.guest.called(1)
    conversation = (await alice.http.get(f"{alice.home}/conversations")).json()[0]["id"]
    queued = await alice.post("two", conversation)
    assert queued.status_code == 202
    body = queued.json()
    assert (body["status"], body["durability"]) == ("accepted", "log+database")
    assert queued.headers["location"] == body["links"]["self"]
    task = (await alice.http.get(queued.headers["location"])).json()
    assert (task["status"], task["waiting_for"]) == ("waiting", "session_busy")
    parlour.guest.go_on.set()
    assert (await first).status_code == 200
    await parlour.guest.called(2)

    async def answered() -> bool:
        return len(texts(await alice.history(conversation))) == 4

    await eventually(answered)


async def test_a_cancelled_turn_says_so_and_the_next_one_begins(parlour: Parlour, alice: Talker) -> None:
    said = await alice.say("one")
    parlour.guest.go_on.clear()
    turn = asyncio.create_task(alice.post("two", id_of(said)))
    await parlour.guest.called(2)
    await alice.http.post(f"/api/v1/tasks/{await parlour.task_of('two')}/cancel")
    assert error_of(await turn, 409)["error_code"] == "turn_cancelled"
    await eventually(lambda: parlour.guest.stopped == 1)
    parlour.guest.go_on.set()
    assert texts(await alice.say("three", id_of(said)))[-1] == ("assistant", "re: three")


async def test_without_the_database_nothing_is_pretended_and_the_client_is_told(
    parlour: Parlour, alice: Talker
) -> None:
    said = await alice.say("one")
    async with proxied(parlour.bus.database_url) as proxy:
        gateway = await parlour.another_gateway(proxy.url)
        async with gateway.client(alice.http.headers["authorization"].removeprefix("Bearer ")) as client:
            await parlour.hears(client)
            cut_off = Talker(alice.owner, client)
            proxy.refuses = True
            proxy.cut()
            answer = await cut_off.post("two", id_of(said))
            body = error_of(answer, 503)
            assert (body["error_code"], body["retryable"]) == ("store_unavailable", True)
            assert answer.headers["retry-after"]
            assert (await client.get(f"{alice.home}/conversations")).status_code == 503
            assert (await cut_off.post("A new one.")).status_code in {202, 503}
            proxy.refuses = False
            again = await cut_off.say("two", id_of(said))
    assert [text for _, text in texts(again)] == ["one", "re: one", "two", "re: two"]


async def test_an_archived_conversation_takes_no_message(parlour: Parlour, alice: Talker) -> None:
    said = await alice.say("one")
    await parlour.archive(said, alice)
    assert error_of(await alice.post("two", id_of(said)), 404)["error_code"] == "conversation_not_found"
    assert (await alice.http.get(f"{alice.home}/conversations")).json() == []


@pytest.mark.parametrize(
    "path",
    [
        "/conversations?skip=-1",
        "/conversations?limit=many",
        "/conversations/x/history?limit=0",
        f"/conversations/{'x' * 65}/tool_calls",
    ],
)
async def test_what_does_not_fit_the_contract_names_its_error_as_everything_here(alice: Talker, path: str) -> None:
    body = error_of(await alice.http.get(alice.home + path), 422)
    assert body["error_code"] == "invalid_request"
    assert body["errors"]


async def test_a_bad_key_names_its_error_too(alice: Talker) -> None:
    assert error_of(await alice.post("hi", Idempotency_Key="a b"), 422)["error_code"] == "invalid_request"


async def test_a_blocked_message_was_found_in_the_field_that_was_sent(alice: Talker) -> None:
    refused = error_of(await alice.post(f"please {BLOCKED}"), 422)
    told = dict(await alice.stream(f"once more {BLOCKED}"))["error"]
    for body in (refused, told):
        assert body["detail"] == "Blocked: injection (family override) in field 'message'."
        assert [finding["field"] for finding in cast("list[Json]", body["findings"])] == ["message"]
