"""One action on many sessions: each has its own outcome, and a key holds for the request as a whole."""

import asyncio
import uuid
from typing import cast

import pytest

from tests.integration.chat.test_sessions import HOME, act, body_of, created, shown
from tests.support.parlour import Json, Talker

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_many_sessions_are_acted_on_at_once_each_with_its_own_outcome(alice: Talker, eve: Talker) -> None:
    own = [await created(alice) for _ in range(3)]
    foreign = await created(eve)
    await act(alice, own[2], "cancel")
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    asked: Json = {"action": "cancel", "session_ids": [*own, foreign, "nowhere", own[0]], "reason": "not needed"}
    answer = body_of(await alice.http.post(f"{HOME}/bulk", json=asked, headers=headers))
    results = cast("list[Json]", answer["results"])
    assert [(one["session_id"], one["ok"], one["status"]) for one in results] == [
        (own[0], True, 200),
        (own[1], True, 200),
        (own[2], False, 409),
        (foreign, False, 404),
        ("nowhere", False, 404),
    ]
    assert (answer["succeeded"], answer["failed"]) == (2, 3)
    assert (await shown(eve, foreign))["status"] == "pending"
    again = body_of(await alice.http.post(f"{HOME}/bulk", json=asked, headers=headers))
    assert again["succeeded"] == 2
    gone = body_of(await alice.http.post(f"{HOME}/bulk", json={"action": "delete", "session_ids": own}))
    assert gone["succeeded"] == 3
    assert body_of(await alice.http.get(HOME))["total"] == 0


async def test_a_bulk_action_under_a_key_is_done_once_and_says_so_when_it_is_repeated(alice: Talker) -> None:
    own = [await created(alice) for _ in range(2)]
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    asked: Json = {"action": "start", "session_ids": ["nowhere", *own]}
    first = await alice.http.post(f"{HOME}/bulk", json=asked, headers=headers)
    assert "idempotency-replayed" not in first.headers
    assert body_of(first)["succeeded"] == 2
    again = await alice.http.post(f"{HOME}/bulk", json=asked, headers=headers)
    assert again.headers["idempotency-replayed"] == "true"
    assert body_of(again)["succeeded"] == 2


async def test_a_key_of_another_bulk_action_is_refused_and_nothing_is_done(alice: Talker) -> None:
    own = [await created(alice) for _ in range(3)]
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    asked: Json = {"action": "cancel", "session_ids": ["nowhere", own[0]]}
    body_of(await alice.http.post(f"{HOME}/bulk", json=asked, headers=headers))
    for other in (
        {"action": "cancel", "session_ids": own[1:]},
        {"action": "cancel", "session_ids": own},
        {"action": "delete", "session_ids": own},
        {"action": "cancel", "session_ids": own[:1]},
    ):
        refused = body_of(await alice.http.post(f"{HOME}/bulk", json=other, headers=headers), 409)
        assert refused["code"] == "idempotency_conflict"
    assert [(await shown(alice, session))["status"] for session in own] == ["cancelled", "pending", "pending"]


async def test_of_two_bulk_actions_that_come_at_once_under_one_key_one_is_refused_whole(alice: Talker) -> None:
    own = [await created(alice) for _ in range(2)]
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    bodies = [{"action": "cancel", "session_ids": [session]} for session in own]
    answers = await asyncio.gather(*(alice.http.post(f"{HOME}/bulk", json=body, headers=headers) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    statuses = [str((await shown(alice, session))["status"]) for session in own]
    assert sorted(statuses) == ["cancelled", "pending"]
    assert statuses[[answer.status_code for answer in answers].index(409)] == "pending"
