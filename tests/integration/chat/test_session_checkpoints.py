"""Checkpoints of sessions over HTTP, and sessions that hang together or are counted (requirements 002.2, 002.3)."""

import uuid
from typing import cast

import pytest

from consumers.keeper.rebuild import rebuild
from events.run import MAX_CHECKPOINT
from tests.integration.chat.test_sessions import HOME, act, becomes, body_of, created, shown
from tests.support.eventually import eventually
from tests.support.parlour import Json, Parlour, Talker

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def kept(talker: Talker, session: str, number: int) -> list[Json]:
    """All checkpoints, once there are so many."""

    async def are_there() -> bool:
        return (await shown(talker, session))["last_checkpoint"] == number

    await eventually(are_there, within=15)
    return cast("list[Json]", body_of(await talker.http.get(f"{HOME}/{session}/checkpoints"))["items"])


async def failed(talker: Talker, session: str) -> Json:
    """The session once somebody has said that it failed."""
    body_of(await act(talker, session, "fail", {"error_message": "No disk."}))
    return await becomes(talker, session, "failed")


async def test_a_session_that_failed_goes_on_from_the_checkpoint_that_is_named(parlour: Parlour, alice: Talker) -> None:
    parlour.guest.go_on.clear()
    parlour.guest.keeps = [({"step": 1}, "begun"), ({"step": 2}, None)]
    session = await created(alice, auto_start=True)
    newest, oldest = await kept(alice, session, 2)
    assert [(one["id"], one["note"], one["attempt"]) for one in (newest, oldest)] == [(2, None, 1), (1, "begun", 1)]
    assert "data" not in newest
    one = body_of(await alice.http.get(f"{HOME}/{session}/checkpoints/1"))
    assert (one["sequence"], one["data"], one["size"]) == (1, {"step": 1}, len(b'{"step":1}'))
    early = await alice.http.post(f"{HOME}/{session}/checkpoints/1/restore")
    assert (early.status_code, early.json()["code"]) == (409, "invalid_transition")

    parlour.guest.keeps = []
    over = await failed(alice, session)
    assert (over["is_recoverable"], over["retry_count"]) == (True, 0)
    missing = await alice.http.post(f"{HOME}/{session}/checkpoints/9/restore")
    assert missing.status_code == 404
    again = await alice.http.post(
        f"{HOME}/{session}/checkpoints/1/restore", json={"reason": "try"}, headers={"Idempotency-Key": "k"}
    )
    assert body_of(again)["status"] in {"queued", "running"}
    await parlour.guest.called(2)
    assert [work.checkpoint for work in parlour.guest.given] == [None, {"step": 1}]
    parlour.guest.go_on.set()
    done = await becomes(alice, session, "completed")
    assert (done["retry_count"], done["is_recoverable"]) == (1, False)
    repeated = await alice.http.post(
        f"{HOME}/{session}/checkpoints/1/restore", json={"reason": "try"}, headers={"Idempotency-Key": "k"}
    )
    assert (repeated.status_code, repeated.headers["idempotency-replayed"]) == (200, "true")


async def test_a_paused_session_goes_on_from_its_last_checkpoint(parlour: Parlour, alice: Talker) -> None:
    parlour.guest.go_on.clear()
    parlour.guest.keeps = [({"step": 1}, None), ({"step": 2}, None)]
    session = await created(alice, auto_start=True)
    await kept(alice, session, 2)
    parlour.guest.keeps = []
    body_of(await act(alice, session, "pause"))
    body_of(await act(alice, session, "resume"))
    await parlour.guest.called(2)
    assert parlour.guest.given[1].checkpoint == {"step": 2}
    body_of(await act(alice, session, "pause"))
    body_of(await alice.http.post(f"{HOME}/{session}/checkpoints/1/restore"))
    await parlour.guest.called(3)
    assert parlour.guest.given[2].checkpoint == {"step": 1}
    parlour.guest.go_on.set()
    assert (await becomes(alice, session, "completed"))["retry_count"] == 0


async def test_its_owner_keeps_a_checkpoint_by_hand(parlour: Parlour, alice: Talker, eve: Talker) -> None:
    parlour.guest.go_on.clear()
    session = await created(alice)
    here = f"{HOME}/{session}/checkpoints"
    said: Json = {"data": {"step": 7}, "note": "by hand"}
    early = await alice.http.post(here, json=said)
    assert (early.status_code, early.json()["code"]) == (409, "invalid_transition")
    body_of(await act(alice, session, "start"))
    await becomes(alice, session, "running")
    answers = [await alice.http.post(here, json=said, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    made = body_of(answers[0], 201)
    assert (made["id"], made["note"], made["run_id"], made["agent_id"]) == (1, "by hand", None, None)
    assert body_of(answers[1], 201) == made
    assert answers[0].headers["location"] == f"{here}/1"
    with_them = await shown(alice, session, include="checkpoints")
    assert [one["id"] for one in cast("list[Json]", with_them["checkpoints"])] == [1]

    large = await alice.http.post(here, json={"data": {"x": "y" * MAX_CHECKPOINT}})
    assert (large.status_code, large.json()["code"]) == (422, "invalid_request")
    hostile = await alice.http.post(here, json={"data": {"x": "my ssn is 536-90-4399"}})
    assert (hostile.status_code, hostile.json()["code"]) == (422, "blocked_by_policy")
    for answer in (
        await eve.http.get(here),
        await eve.http.get(f"{here}/1"),
        await eve.http.post(here, json=said),
        await eve.http.post(f"{here}/1/restore"),
        await eve.http.get(f"{HOME}/{session}/tree"),
    ):
        assert answer.status_code == 404


async def test_what_was_stopped_is_not_recoverable(parlour: Parlour, alice: Talker) -> None:
    """Requirements O.3: nothing leaves `cancelled`."""
    parlour.guest.go_on.clear()
    parlour.guest.keeps = [({"step": 1}, None)]
    session = await created(alice, auto_start=True)
    await kept(alice, session, 1)
    stopped = body_of(await act(alice, session, "cancel"))
    assert (stopped["status"], stopped["is_recoverable"]) == ("stopped", False)
    refused = await alice.http.post(f"{HOME}/{session}/checkpoints/1/restore")
    assert (refused.status_code, refused.json()["code"]) == (409, "invalid_transition")


async def test_checkpoints_are_listed_a_page_at_a_time(parlour: Parlour, alice: Talker) -> None:
    parlour.guest.keeps = [({"step": step}, None) for step in range(1, 6)]
    session = await created(alice, auto_start=True)
    await kept(alice, session, 5)
    here = f"{HOME}/{session}/checkpoints"
    first = body_of(await alice.http.get(here, params={"limit": 2}))
    assert ([one["id"] for one in cast("list[Json]", first["items"])], first["next_cursor"]) == ([5, 4], 4)
    last = body_of(await alice.http.get(here, params={"limit": 3, "cursor": 4}))
    assert ([one["id"] for one in cast("list[Json]", last["items"])], last["next_cursor"]) == ([3, 2, 1], None)


async def test_a_session_is_shown_with_those_that_descend_from_it(alice: Talker, eve: Talker) -> None:
    root = await created(alice, title="Root")
    child = await created(alice, title="Child", parent_session_id=root)
    other = await created(alice, title="Other", parent_session_id=root)
    grandchild = await created(alice, title="Grandchild", parent_session_id=child)
    await created(alice, title="Stranger")
    body_of(await act(alice, other, "cancel"))
    tree = body_of(await alice.http.get(f"{HOME}/{root}/tree"))
    below = cast("list[Json]", tree["children"])
    assert (tree["id"], tree["depth"], tree["truncated"]) == (root, 0, False)
    assert [(one["id"], one["title"], one["status"], one["depth"]) for one in below] == [
        (child, "Child", "pending", 1),
        (other, "Other", "cancelled", 1),
    ]
    assert [one["id"] for one in cast("list[Json]", below[0]["children"])] == [grandchild]
    assert (await eve.http.get(f"{HOME}/{root}/tree")).status_code == 404
    assert (await alice.http.get(f"{HOME}/{uuid.uuid4()}/tree")).status_code == 404


async def test_sessions_are_counted_by_status_type_and_priority(parlour: Parlour, alice: Talker) -> None:
    none = body_of(await alice.http.get(f"{HOME}/stats"))
    assert (none["total_sessions"], none["average_duration_seconds"], none["average_success_rate"]) == (0, None, None)
    good = await created(alice, auto_start=True, session_type="review", priority="high")
    await becomes(alice, good, "completed")
    parlour.guest.go_on.clear()
    bad, running = [await created(alice, auto_start=True) for _ in range(2)]
    for session in (bad, running):
        await becomes(alice, session, "running")
    await failed(alice, bad)
    await created(alice)
    body_of(await act(alice, await created(alice), "cancel"))
    counted = body_of(await alice.http.get(f"{HOME}/stats"))
    assert [counted[f"{what}_sessions"] for what in ("total", "active", "completed", "failed")] == [5, 1, 1, 1]
    statuses = cast("dict[str, int]", counted["sessions_by_status"])
    found = {status: number for status, number in statuses.items() if number}
    assert found == dict.fromkeys(("completed", "failed", "running", "pending", "cancelled"), 1)
    assert counted["sessions_by_type"] == {"review": 1, "execution": 4}
    assert counted["sessions_by_priority"] == {"high": 1, "normal": 4}
    assert counted["average_success_rate"] == 0.5
    assert 0 < cast("float", counted["average_duration_seconds"]) < 60


async def test_a_rebuild_gives_the_same_checkpoints(parlour: Parlour) -> None:
    """After the other tests of this module: all that they left is folded again."""
    parlour.guest.go_on.set()
    await parlour.bus.folded()
    report = await rebuild(parlour.bus.database_url, swap=False)
    differences = {table.table: (table.missing, table.extra) for table in report.tables if table.missing or table.extra}
    assert differences == {}
    assert {table.table: table.rows > 0 for table in report.tables}["checkpoint"]
