"""Nobody sees or changes somebody else's conversation: by no route, no socket, and no guess of an id."""

import asyncio
import itertools
import json
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import cast
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from gateway.compat.routes import PATHS
from tests.support.parlour import Json, Parlour, Talker, id_of, texts

pytestmark = pytest.mark.asyncio(loop_scope="module")

WORDS = "the heron at noon"
"""What nobody else may ever read."""
SOCKETS = sorted({path.replace("{id}", guess) for path in PATHS for guess in ("{session}", "{task}")})


@dataclass
class Secret:
    """A conversation of alice's, with a tool call in it."""

    session: str
    task: str
    alice: Talker


async def told(parlour: Parlour, alice: Talker) -> Secret:
    parlour.guest.tools = [("look_up", {"q": WORDS}, {"a": WORDS})]
    said = await alice.say(f"Remember {WORDS}.")
    parlour.guest.tools = []
    return Secret(id_of(said), str(said["task_id"]), alice)


KINDS = ("same tenant", "other tenant", "same name in another tenant")


async def somebody(parlour: Parlour, secret: Secret, kind: str) -> Talker:
    kinds = {
        "same tenant": ("mallory", "acme"),
        "other tenant": ("mallory", "evil"),
        "same name in another tenant": (secret.alice.owner, "evil"),
    }
    owner, tenant = kinds[kind]
    return await parlour.client(owner, tenant)


@pytest_asyncio.fixture(loop_scope="module")
async def secret(parlour: Parlour, alice: Talker) -> Secret:
    return await told(parlour, alice)


@pytest_asyncio.fixture(loop_scope="module", params=KINDS)
async def stranger(parlour: Parlour, secret: Secret, request: pytest.FixtureRequest) -> Talker:
    return await somebody(parlour, secret, request.param)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kept(module_parlour: Parlour) -> Secret:
    """One for all that each try once to get at it, and leave it as it is."""
    return await told(module_parlour, await module_parlour.client("alice-of-old"))


@pytest_asyncio.fixture(loop_scope="module", params=KINDS)
async def intruder(parlour: Parlour, kept: Secret, request: pytest.FixtureRequest) -> Talker:
    return await somebody(parlour, kept, request.param)


READS = (
    "/api/{user}/conversations/{session}/history",
    "/api/{user}/conversations/{session}/tool_calls",
    "/api/{user}/conversations",
    "/api/v1/sessions",
    "/api/v1/sessions/{session}",
    "/api/v1/sessions/{session}?include=messages&include=tasks&include=metrics&archived=true",
    "/api/v1/tasks",
    "/api/v1/tasks/{task}",
    "/api/v1/tasks/{task}/events",
    "/api/v1/tasks/{task}/stream",
    "/api/v1/tasks/{task}/placeholders",
    "/api/v1/stream?room=session:{session}&after=0",
    "/api/v1/stream?room=task:{task}&after=0",
    "/tasks/{task}",
)
WRITES: tuple[tuple[str, str, object], ...] = (
    ("POST", "/api/{user}/chat", {"message": "What was it?", "conversation_id": "{session}"}),
    ("PATCH", "/api/v1/sessions/{session}", {"title": "Mine now"}),
    ("DELETE", "/api/v1/sessions/{session}", None),
    *(("POST", f"/api/v1/sessions/{{session}}/{action}", {}) for action in ("start", "complete", "fail", "cancel")),
    *(("POST", f"/api/v1/tasks/{{task}}/{action}", {}) for action in ("cancel", "retry", "complete", "fail", "pause")),
    ("POST", "/api/v1/sessions", {"title": "Mine", "initial_prompt": "x", "parent_session_id": "{session}"}),
)


async def ask(stranger: Talker, secret: Secret, method: str, path: str, body: object = None) -> httpx.Response:
    named = {"user": stranger.owner, "session": secret.session, "task": secret.task}
    if isinstance(body, dict):
        body = {name: str(value).format(**named) for name, value in body.items()}
    return await stranger.http.request(method, path.format(**named), json=body)


@pytest.mark.parametrize("path", READS)
async def test_no_read_shows_it(intruder: Talker, kept: Secret, path: str) -> None:
    answer = await asyncio.wait_for(ask(intruder, kept, "GET", path), 10)
    assert answer.status_code in {200, 403, 404}
    if answer.status_code == 200:
        assert path in {"/api/{user}/conversations", "/api/v1/sessions", "/api/v1/tasks"}
    for trace in (WORDS, kept.session, kept.task):
        assert trace not in answer.text.replace(str(answer.request.url), "")


@pytest.mark.parametrize("write", WRITES, ids=lambda write: f"{write[0]} {write[1]}")
async def test_no_write_reaches_it(
    parlour: Parlour, intruder: Talker, kept: Secret, write: tuple[str, str, object]
) -> None:
    method, path, body = write
    called = len(parlour.guest.given)
    answer = await ask(intruder, kept, method, path, body)
    assert answer.status_code in {403, 404, 422}
    assert WORDS not in answer.text
    assert len(texts(await kept.alice.history(kept.session))) == 2
    assert len(parlour.guest.given) == called


async def test_what_was_refused_gets_in_by_no_second_try(parlour: Parlour, stranger: Talker, secret: Secret) -> None:
    called = len(parlour.guest.given)
    asked = {
        "specversion": "1.0",
        "id": "1",
        "source": "/somewhere",
        "type": "io.ganglion.task.submitted.v1",
        "sessionid": secret.session,
        "data": {"spec": {"prompt": "What was it?"}},
    }
    structured = {"Content-Type": "application/cloudevents+json"}
    answer = await stranger.http.post("/api/v1/events", content=json.dumps(asked), headers=structured)
    assert answer.status_code == 202, answer.text
    home = f"/api/v1/tasks/{answer.json()['task_id']}"
    assert (await stranger.http.get(home)).json()["reason"] == "unknown_session"
    answer = await stranger.http.post(f"{home}/retry")
    assert (answer.status_code, answer.json()["code"]) == (409, "refused"), answer.text
    assert len(parlour.guest.given) == called
    whole = await secret.alice.http.get(f"/api/v1/sessions/{secret.session}?include=tasks&include=metrics")
    assert whole.json()["metrics"]["tasks"] == len(whole.json()["tasks"]) == 1


async def test_an_execution_id_that_another_task_uses_too_puts_none_of_its_tools_here(
    parlour: Parlour, stranger: Talker, secret: Secret
) -> None:
    """Agents draw these ids, and one may always say the same."""
    other = (await stranger.say("my own"))["task_id"]
    copied = (
        "INSERT INTO tool_call SELECT execution_id, 99, run_id, $2, 'theirs', '{}', NULL, 'succeeded', called_at"
        " FROM tool_call WHERE task_id = $1"
    )
    await parlour.bus.database.execute(copied, UUID(secret.task), UUID(str(other)))
    answer = cast("list[Json]", (await secret.alice.history(secret.session))["messages"])[1]
    assert [call["tool_name"] for call in cast("list[Json]", answer["tool_calls"])] == ["look_up"]


async def test_no_route_of_the_document_shows_it_whatever_id_is_put_where(
    parlour: Parlour, stranger: Talker, secret: Secret
) -> None:
    """Every route there is, also those that will be: each id in its path is the conversation's or the task's."""
    called = len(parlour.guest.given)
    paths = (await stranger.http.get("/openapi.json")).json()["paths"]
    routes = [(method, path) for path, methods in paths.items() for method in methods if "{" in path]
    assert len(routes) > 40
    for guess, (method, path) in itertools.product((secret.session, secret.task), routes):
        named = re.sub(r"\{\w+\}", guess, path.replace("{user_id}", stranger.owner))
        sent: dict[str, object] | None = {} if method in {"post", "patch", "put"} else None
        answer = await asyncio.wait_for(stranger.http.request(method.upper(), named, json=sent), 15)
        shown = answer.text.replace(named, "")
        assert WORDS not in shown, (method, path)
        if answer.status_code not in {400, 422}:  # those say back what they could not read
            assert answer.status_code >= 400 or guess not in shown, (method, path, shown)
    assert len(texts(await secret.alice.history(secret.session))) == 2
    assert len(parlour.guest.given) == called


@pytest.mark.parametrize("room", ["sessions", "tasks"])
async def test_no_list_over_server_sent_events_shows_it(stranger: Talker, secret: Secret, room: str) -> None:
    heard = ""
    async with stranger.http.stream("GET", f"/api/v1/stream?room={room}&after=0") as answer:
        await secret.alice.say(f"Again: {WORDS}.", secret.session)
        own = str((await stranger.say("my own"))["task_id"])
        async for line in answer.aiter_lines():
            heard += line
            if own in line:
                break
    assert WORDS not in heard
    assert secret.session not in heard


async def test_a_bulk_action_passes_it_by(intruder: Talker, kept: Secret) -> None:
    asked = {"action": "delete", "session_ids": [kept.session]}
    answer = await intruder.http.post("/api/v1/sessions/bulk", json=asked)
    assert answer.json()["results"] == [
        {
            "session_id": kept.session,
            "ok": False,
            "status": 404,
            "code": "not_found",
            "detail": "There is nothing of yours under this id.",
        }
    ]
    assert len(texts(await kept.alice.history(kept.session))) == 2


@pytest.mark.parametrize("room", ["session:{session}", "task:{task}", "sessions", "tasks"])
async def test_no_room_of_the_socket_shows_it(parlour: Parlour, stranger: Talker, secret: Secret, room: str) -> None:
    bearer = stranger.http.headers["authorization"].removeprefix("Bearer ")
    async with parlour.gateway.socket(bearer) as socket:
        await socket.until("hello")
        await socket.send(
            type="subscribe", id="1", room=room.format(session=secret.session, task=secret.task), after="0"
        )
        first = await socket.receive()
        if ":" in room:
            assert (first["type"], first["code"]) == ("error", "not_found")
        await secret.alice.say(f"Again: {WORDS}.", secret.session)
        own = await stranger.say("my own")
        heard = [first]
        while str(own["task_id"]) not in str(heard[-1]) and ":" not in room:
            heard.append(await socket.receive())
    assert WORDS not in str(heard)
    assert secret.session not in str(heard)


@pytest.mark.parametrize("path", SOCKETS)
async def test_no_compatible_socket_shows_it(parlour: Parlour, stranger: Talker, secret: Secret, path: str) -> None:
    path = path.format(session=secret.session, task=secret.task)
    rooms = (f"session:{secret.session}", f"task:{secret.task}", "sessions", "tasks")
    async with _compatible(parlour, stranger, path, rooms) as heard:
        await secret.alice.say(f"Again: {WORDS}.", secret.session)
        await stranger.say("my own")
        await asyncio.sleep(0.2)  # what would be shown is shown by now: nothing tells that nothing comes
    told = "".join(text for text in heard if '"type":"error"' not in text)  # which says back what it was asked for
    assert WORDS not in told
    if not path.startswith("/ws/agents/"):  # an agent of any name may come: its socket confirms the name
        assert secret.session not in told


@asynccontextmanager
async def _compatible(parlour: Parlour, stranger: Talker, path: str, rooms: Sequence[str]) -> AsyncGenerator[list[str]]:
    heard: list[str] = []

    async def listen() -> None:
        url = f"ws://127.0.0.1:{parlour.gateway.port}{path}"
        headers = {"Authorization": stranger.http.headers["authorization"]}
        with suppress(WebSocketException):
            async with connect(url, additional_headers=headers, proxy=None) as socket:
                for room in rooms:
                    await socket.send(json.dumps({"type": "join_room", "room": room}))
                while True:
                    heard.append(str(await socket.recv()))

    listening = asyncio.create_task(listen())
    try:
        yield heard
    finally:
        listening.cancel()
        await asyncio.wait({listening})
