"""Sessions over HTTP: created on hold, started, ended in every way, listed, described anew, deleted, many at once."""

import uuid
from typing import cast

import httpx
import pytest

from tests.support.eventually import eventually
from tests.support.parlour import BLOCKED, Json, Parlour, Talker

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOME = "/api/v1/sessions"
SECRET = "my ssn is 536-90-4399"
NEW: Json = {"title": "Fix-Login-Bug", "initial_prompt": "Find out why it fails."}


def body_of(answer: httpx.Response, status: int = 200) -> Json:
    assert answer.status_code == status, answer.text
    return cast("Json", answer.json())


async def created(talker: Talker, **more: object) -> str:
    return str(body_of(await talker.http.post(HOME, json={**NEW, **more}), 201)["id"])


async def shown(talker: Talker, session: str, **query: object) -> Json:
    return body_of(await talker.http.get(f"{HOME}/{session}", params=query))  # type: ignore[arg-type]  # texts and lists


async def becomes(talker: Talker, session: str, status: str) -> Json:
    async def has() -> bool:
        found = await shown(talker, session)
        assert found["status"] == status, found
        return True

    await eventually(has, within=15)
    return await shown(talker, session)


async def act(talker: Talker, session: str, action: str, body: Json | None = None) -> httpx.Response:
    return await talker.http.post(f"{HOME}/{session}/{action}", json=body)


async def test_a_session_waits_for_its_start_and_then_runs(parlour: Parlour, alice: Talker) -> None:
    answer = await alice.http.post(
        HOME,
        json={
            **NEW,
            "session_type": "debug",
            "priority": 1,
            "agent_config": {"model": "m"},
            "tags": ["login", "bug"],
            "metadata": {"ticket": 7},
            "max_duration_seconds": 120,
        },
    )
    new = body_of(answer, 201)
    assert answer.headers["location"] == f"{HOME}/{new['id']}"
    expected = {
        "kind": "work",
        "title": "Fix-Login-Bug",
        "status": "pending",
        "session_type": "debug",
        "priority": "high",
        "health_score": 0.8,
        "initial_prompt": "Find out why it fails.",
        "agent_config": {"model": "m"},
        "tags": ["login", "bug"],
        "metadata": {"ticket": 7},
        "max_duration_seconds": 120,
        "created_by": alice.owner,
        "archived": False,
    }
    assert {name: new[name] for name in expected} == expected
    session = str(new["id"])

    async def held() -> bool:
        return (await shown(alice, session))["waiting_for"] == "hold"

    await eventually(held)
    assert parlour.guest.given == []
    parlour.guest.go_on.clear()
    body_of(await act(alice, session, "start"))
    running = await becomes(alice, session, "running")
    assert running["health_score"] == 0.9
    assert running["started_at"]
    parlour.guest.go_on.set()
    done = await becomes(alice, session, "completed")
    assert (done["health_score"], done["result"]) == (1.0, {"text": "re: Find out why it fails."})
    assert done["completed_at"]
    assert (await act(alice, session, "start")).status_code == 409


async def test_the_life_of_a_session_as_its_document_tries_it(alice: Talker) -> None:
    session = await created(alice, title="TEST-Session-001", initial_prompt="Test task")
    body_of(await act(alice, session, "start"))
    done = body_of(await act(alice, session, "complete", {"result": {"success": True}}))
    assert done["status"] == "completed"


async def test_a_running_session_is_completed_by_its_owner_with_what_came_of_it(
    parlour: Parlour, alice: Talker
) -> None:
    parlour.guest.go_on.clear()
    session = await created(alice, auto_start=True)
    await becomes(alice, session, "running")
    said = {"result": {"success": True}, "success_rate": 0.5, "confidence_score": 1}
    done = body_of(await act(alice, session, "complete", said))  # type: ignore[arg-type]  # JSON
    assert (done["status"], done["result"]) == (
        "completed",
        {"success": True, "success_rate": 0.5, "confidence_score": 1},
    )
    await eventually(lambda: parlour.guest.stopped == 1)


async def test_a_session_fails_with_the_reason_that_is_given(parlour: Parlour, alice: Talker) -> None:
    parlour.guest.go_on.clear()
    session = await created(alice, auto_start=True)
    await becomes(alice, session, "running")
    said: Json = {"error_message": "No disk.", "error_code": "E-2.1", "error_context": {"free": 0}, "retryable": True}
    failed = body_of(await act(alice, session, "fail", said))
    assert (failed["status"], failed["health_score"], failed["degraded"]) == ("failed", 0.0, True)
    assert failed["error"] == {"code": "E-2.1", "message": "No disk.", "retryable": True}
    assert failed["result"] == {"error_context": {"free": 0}}
    again = await act(alice, session, "fail", said)
    assert (again.status_code, again.json()["code"]) == (409, "invalid_transition")


async def test_a_session_is_paused_and_goes_on(parlour: Parlour, alice: Talker) -> None:
    parlour.guest.go_on.clear()
    session = await created(alice, auto_start=True)
    await becomes(alice, session, "running")
    assert body_of(await act(alice, session, "pause"))["status"] == "paused"
    parlour.guest.go_on.set()
    body_of(await act(alice, session, "resume"))
    await becomes(alice, session, "completed")


async def test_what_was_cancelled_is_stopped_if_it_had_begun(parlour: Parlour, alice: Talker) -> None:
    waiting = await created(alice)
    assert body_of(await act(alice, waiting, "cancel"))["status"] == "cancelled"
    parlour.guest.go_on.clear()
    running = await created(alice, auto_start=True)
    await becomes(alice, running, "running")
    assert body_of(await act(alice, running, "cancel"))["status"] == "stopped"


async def test_a_blocked_prompt_fails_its_session(parlour: Parlour, alice: Talker) -> None:
    session = await created(alice, initial_prompt=BLOCKED, auto_start=True)
    failed = await becomes(alice, session, "failed")
    assert cast("Json", failed["error"])["code"] == "blocked_by_policy"
    assert parlour.guest.given == []


@pytest.mark.parametrize("place", ["title", "tags/0", "metadata/note"])
async def test_how_a_session_is_described_is_read_before_it_is_announced(alice: Talker, place: str) -> None:
    member, _, below = place.partition("/")
    said = {"": SECRET, "0": [SECRET], "note": {"note": SECRET}}[below]
    refused = await alice.http.post(HOME, json={**NEW, member: said})
    problem = body_of(refused, 422)
    assert problem["code"] == "blocked_by_policy"
    assert f"in field '{place}'" in str(problem["detail"])
    assert SECRET not in refused.text
    assert body_of(await alice.http.get(HOME))["items"] == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {**NEW, "title": "ab"},
        {**NEW, "title": "x" * 101},
        {**NEW, "initial_prompt": ""},
        {**NEW, "session_type": "party"},
        {**NEW, "priority": 5},
        {**NEW, "max_duration_seconds": 59},
        {**NEW, "tags": ["x"] * 21},
        {**NEW, "parent_session_id": "nowhere"},
        {**NEW, "more": 1},
    ],
)
async def test_what_does_not_fit_is_refused(alice: Talker, body: Json) -> None:
    answer = await alice.http.post(HOME, json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_nobody_creates_a_session_in_another_name(alice: Talker) -> None:
    assert (await alice.http.post(HOME, json={**NEW, "created_by": "eve"})).status_code == 403
    assert (await alice.http.post(HOME, json={**NEW, "created_by": alice.owner})).status_code == 201


async def test_a_repeat_with_the_same_key_creates_nothing_more(alice: Talker) -> None:
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    first = await alice.http.post(HOME, json=NEW, headers=headers)
    again = await alice.http.post(HOME, json=NEW, headers=headers)
    assert (again.status_code, again.json()["id"]) == (201, first.json()["id"])
    assert again.headers["idempotency-replayed"] == "true"
    assert (await alice.http.post(HOME, json={**NEW, "title": "Other"}, headers=headers)).status_code == 409
    assert body_of(await alice.http.get(HOME))["total"] == 1


async def test_a_repeat_of_a_command_gets_its_first_answer_although_the_session_is_deleted(alice: Talker) -> None:
    session, key = await created(alice), {"Idempotency-Key": uuid.uuid4().hex}
    cancel, start = f"{HOME}/{session}/cancel", f"{HOME}/{session}/start"

    async def answers() -> list[httpx.Response]:
        return [
            await alice.http.patch(f"{HOME}/{session}", json={"title": "Described anew"}, headers=key),
            await alice.http.post(cancel, headers=key),
            await alice.http.post(start, headers=key),
        ]

    first = await answers()
    assert (await alice.http.delete(f"{HOME}/{session}")).status_code == 204
    again = await answers()
    assert [one.status_code for one in first] == [one.status_code for one in again] == [200, 200, 409]
    assert [one.headers.get("idempotency-replayed") for one in again[:2]] == ["true", "true"]
    assert (await alice.http.post(cancel, json={"reason": "other"}, headers=key)).status_code == 409
    for new in ({}, {"Idempotency-Key": "new"}):
        for path, body in ((cancel, None), (start, None)):
            assert (await alice.http.post(path, json=body, headers=new)).status_code == 404
        assert (await alice.http.patch(f"{HOME}/{session}", json={"title": "Again"}, headers=new)).status_code == 404


async def test_a_number_of_any_size_is_shown_as_it_was_given(alice: Talker) -> None:
    session = await created(alice, metadata={"build": 2**70}, agent_config={"seed": -(10**30)})
    found = await shown(alice, session)
    assert (found["metadata"], found["agent_config"]) == ({"build": 2**70}, {"seed": -(10**30)})
    listed = cast("list[Json]", body_of(await alice.http.get(HOME))["items"])
    assert [item["metadata"] for item in listed] == [{"build": 2**70}]


async def test_sessions_are_listed_by_page_and_filter(alice: Talker) -> None:
    ids = [await created(alice, title=f"Session-{number}", tags=[f"t{number % 2}"]) for number in range(5)]
    await alice.say("A conversation.")
    await act(alice, ids[0], "cancel")
    page = body_of(await alice.http.get(HOME, params={"page_size": 4}))
    assert (page["total"], page["page"], page["page_size"], len(cast("list[Json]", page["items"]))) == (6, 1, 4, 4)
    rest = body_of(await alice.http.get(HOME, params={"page_size": 4, "page": 2}))
    seen = [item["id"] for part in (page, rest) for item in cast("list[Json]", part["items"])]
    assert len(set(seen)) == 6

    async def found(**query: object) -> set[object]:
        listed = body_of(await alice.http.get(HOME, params=query))  # type: ignore[arg-type]  # texts and lists
        return {item["id"] for item in cast("list[Json]", listed["items"])}

    assert await found(status="cancelled") == {ids[0]}
    assert await found(status=["pending", "cancelled"]) == set(ids)
    assert await found(status="stopped") == set()
    assert await found(status="degraded") == set()
    assert await found(status="orphaned") == set()
    assert await found(kind="work", tag="t1") == {ids[1], ids[3]}
    assert await found(title="session-4") == {ids[4]}
    assert await found(session_type="execution", priority="normal", kind="work") == set(ids)
    assert await found(session_type=["debug", "review"]) == set()
    assert await found(priority=["medium", "0"], kind="work") == set(ids)
    assert await found(priority="high") == set()
    assert len(await found(kind="chat")) == 1


@pytest.mark.parametrize("name", ["tag", "title"])
async def test_a_filter_that_no_session_can_fit_is_refused(alice: Talker, name: str) -> None:
    answer = await alice.http.get(HOME, params={name: "a\0b"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, name), answer.text


async def test_what_a_session_did_last_moves_it_up_the_list(alice: Talker) -> None:
    ids = [await created(alice, title=f"Session-{number}") for number in range(3)]
    await act(alice, ids[0], "start")
    await becomes(alice, ids[0], "completed")
    items = cast("list[Json]", body_of(await alice.http.get(HOME))["items"])
    assert [item["id"] for item in items] == [ids[0], ids[2], ids[1]]
    times = [str(item["updated_at"]) for item in items]
    assert times == sorted(times, reverse=True)


async def test_a_session_shows_what_belongs_to_it_if_asked(parlour: Parlour, alice: Talker) -> None:
    parlour.guest.tools = [("look_up", {}, {})]
    session = await created(alice, auto_start=True)
    await becomes(alice, session, "completed")
    bare = await shown(alice, session)
    assert not {"tasks", "messages", "metrics"} & bare.keys()
    whole = await shown(alice, session, include=["tasks", "messages", "metrics"])
    assert [task["task_id"] for task in cast("list[Json]", whole["tasks"])] == [whole["task_id"]]
    metrics = cast("Json", whole["metrics"])
    assert (metrics["tasks"], metrics["runs"], metrics["failed_runs"], metrics["tool_calls"]) == (1, 1, 0, 1)
    conversation = str((await alice.say("hello"))["conversation_id"])
    chat = await shown(alice, conversation, include="messages")
    assert [said["content"] for said in cast("list[Json]", chat["messages"])] == ["hello", "re: hello"]
    assert (chat["kind"], chat["status"], chat["message_count"]) == ("chat", "completed", 2)


async def test_a_session_is_described_anew_unless_somebody_was_quicker(alice: Talker) -> None:
    session = await created(alice)
    new = body_of(await alice.http.patch(f"{HOME}/{session}", json={"title": "Another", "expected_version": 1}))
    assert (new["title"], new["version"], new["tags"]) == ("Another", 2, [])
    late = await alice.http.patch(f"{HOME}/{session}", json={"title": "Third", "expected_version": 1})
    assert (late.status_code, late.json()["code"]) == (409, "version_conflict")
    more = body_of(await alice.http.patch(f"{HOME}/{session}", json={"tags": ["x"], "metadata": {"a": 1}}))
    assert (more["title"], more["tags"], more["metadata"]) == ("Another", ["x"], {"a": 1})
    assert (await alice.http.patch(f"{HOME}/{session}", json={"title": ""})).status_code == 422


async def test_numbers_beyond_64_bits_hide_neither_a_session_nor_its_list(alice: Talker) -> None:
    """The database writes 1e30 with all its digits, and that is how it is shown: a whole number, as large as it was."""
    atoms = 10**30
    session = await created(alice, metadata={"atoms": 1e30})
    await act(alice, session, "complete", {"result": {"atoms": 1e30}})
    shown_now = await shown(alice, session)
    assert (shown_now["metadata"], shown_now["result"]) == ({"atoms": atoms}, {"atoms": atoms})
    assert (await alice.http.get(HOME)).status_code == 200
    assert (await alice.http.get(f"/api/v1/tasks/{shown_now['task_id']}")).json()["result"] == {"atoms": atoms}


async def test_a_deleted_session_is_gone_from_view_and_kept(parlour: Parlour, alice: Talker) -> None:
    parlour.guest.go_on.clear()
    session = await created(alice, auto_start=True)
    await becomes(alice, session, "running")
    assert (await alice.http.delete(f"{HOME}/{session}")).status_code == 204
    assert (await alice.http.get(f"{HOME}/{session}")).status_code == 404
    assert (await alice.http.delete(f"{HOME}/{session}")).status_code == 404
    assert (await act(alice, session, "start")).status_code == 404
    assert body_of(await alice.http.get(HOME))["total"] == 0
    kept = await shown(alice, session, archived=True)
    assert (kept["archived"], kept["status"]) == (True, "stopped")
    assert body_of(await alice.http.get(HOME, params={"archived": True}))["total"] == 1
    await eventually(lambda: parlour.guest.stopped == 1)


async def test_all_that_is_open_in_a_deleted_session_is_cancelled_and_nothing_begins_in_it(
    parlour: Parlour, alice: Talker
) -> None:
    session = await created(alice)
    more, failed = [await in_session(alice, session, f"More of it, {number}.") for number in range(2)]
    body_of(await alice.http.post(f"/api/v1/tasks/{failed}/fail"))
    assert (await alice.http.delete(f"{HOME}/{session}")).status_code == 204

    async def cancelled() -> bool:
        found = body_of(await alice.http.get(f"/api/v1/tasks/{more}"))
        assert found["status"] == "cancelled", found
        return bool(found["detail"] == "session_archived")

    assert await eventually(cancelled, within=15)
    again = await alice.http.post(f"/api/v1/tasks/{failed}/retry")
    assert again.status_code == 409
    assert "archived" in again.json()["detail"]


async def in_session(talker: Talker, session: str, prompt: str) -> str:
    """One more task of a session, on hold, as a producer asks for it."""
    event = {
        "specversion": "1.0",
        "id": uuid.uuid4().hex,
        "source": "/shop",
        "type": "io.ganglion.task.submitted.v1",
        "sessionid": session,
        "data": {"spec": {"prompt": prompt, "hold": True}},
    }
    headers = {"Content-Type": "application/cloudevents+json"}
    task = str(body_of(await talker.http.post("/api/v1/events", json=event, headers=headers), 202)["task_id"])

    async def is_held() -> bool:
        return bool(body_of(await talker.http.get(f"/api/v1/tasks/{task}"))["waiting_for"] == "hold")

    assert await eventually(is_held, within=15)
    return task
