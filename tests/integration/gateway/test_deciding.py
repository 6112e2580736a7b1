"""Who may see and decide a proposal, and what two learn who decide at once."""

import asyncio

import pytest

from tests.support.desk import Desk

ONE = {"plan.md": "one\n"}


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_strangers_proposal_and_workflow_are_not_found(desk: Desk) -> None:
    workflow_id = await desk.workflow(ONE)
    thread = await desk.proposed(workflow_id, ONE)
    for stranger in (desk.client("mallory"), desk.client("alice", tenant="elsewhere")):
        for path in (thread.url, f"{thread.url}/diff", f"{thread.url}/access"):
            assert (await stranger.get(path)).status_code == 404
        for path in (f"/api/workflows/{workflow_id}", f"/api/workflows/{workflow_id}/draft"):
            assert (await stranger.get(path)).status_code == 404
        for path in ("approve", "reject"):
            assert (await stranger.post(f"{thread.url}/{path}")).status_code == 404
        refined = await stranger.post(f"/api/workflows/{workflow_id}/refinements", json={"instructions": "x"})
        assert refined.status_code == 404
        assert (await stranger.get("/api/proposals")).json()["items"] == []
        assert (await stranger.get("/api/workflows")).json()["items"] == []
    assert (await thread.get())["status"] == "completed"


async def test_a_viewer_looks_and_an_owner_decides(desk: Desk) -> None:
    thread = await desk.proposed(await desk.workflow(), ONE)
    bob = desk.client("bob")
    granted = await desk.alice.put(f"{thread.url}/access/bob", json={"access_type": "viewer"})
    assert (granted.status_code, granted.json()["access_type"], granted.json()["granted_by"]) == (
        200,
        "viewer",
        "alice",
    )
    assert (await thread.get(bob))["status"] == "completed"
    assert (await bob.get("/api/proposals")).json()["items"][0]["id"] == thread.proposal_id
    refused = await bob.post(f"{thread.url}/approve")
    assert (refused.status_code, refused.json()["code"]) == (403, "viewer_only")
    assert (await bob.put(f"{thread.url}/access/eve", json={"access_type": "owner"})).status_code == 403
    await desk.alice.put(f"{thread.url}/access/bob", json={"access_type": "owner"})
    assert (await bob.post(f"{thread.url}/approve")).status_code == 200
    assert (await thread.get())["resolved_by"] == "bob"


async def test_access_that_is_taken_back_is_gone(desk: Desk) -> None:
    thread = await desk.proposed(await desk.workflow(), ONE)
    bob = desk.client("bob")
    await desk.alice.put(f"{thread.url}/access/bob", json={"access_type": "owner"})
    assert (await bob.get(f"{thread.url}/access")).json()["items"][0]["user_id"] == "bob"
    assert (await desk.alice.delete(f"{thread.url}/access/bob")).status_code == 204
    assert (await bob.get(thread.url)).status_code == 404
    assert (await bob.post(f"{thread.url}/approve")).status_code == 404
    assert (await desk.alice.get(f"{thread.url}/access")).json()["items"] == []
    own = await desk.alice.put(f"{thread.url}/access/alice", json={"access_type": "viewer"})
    assert (own.status_code, own.json()["code"]) == (409, "is_owner")


async def test_of_two_who_decide_at_once_one_wins_and_both_learn_it_a_hundred_times(desk: Desk) -> None:
    workflow_id = await desk.workflow()
    bob = desk.client("bob")
    for number in range(100):
        thread = await desk.proposed(workflow_id, {"plan.md": f"{number}\n"})
        await desk.alice.put(f"{thread.url}/access/bob", json={"access_type": "owner"})
        decisions = ("approve", "reject") if number % 3 else ("approve", "approve")
        answers = await asyncio.gather(
            desk.alice.post(f"{thread.url}/{decisions[0]}"), bob.post(f"{thread.url}/{decisions[1]}")
        )
        statuses = [answer.status_code for answer in answers]
        assert sorted(statuses) == [200, 409], [answer.text for answer in answers]
        won = statuses.index(200)
        told = answers[1 - won].json()
        winner = ("alice", "bob")[won]
        decision = {"approve": "approved", "reject": "rejected"}[decisions[won]]
        assert (told["code"], told["resolution"], told["resolved_by"]) == ("already_decided", decision, winner)
        found = await thread.get()
        assert (found["resolution"], found["resolved_by"]) == (decision, winner)
    await desk.bus.folded()
    decided = """SELECT count(*) FROM event_log WHERE session_id = $1
        AND (type LIKE '%.proposal.approved.v1' OR type LIKE '%.proposal.rejected.v1')"""
    assert await desk.bus.database.fetchval(decided, workflow_id) == 100


async def test_two_proposals_for_one_draft_approved_at_once_leave_one_and_say_what_differs(desk: Desk) -> None:
    workflow_id = await desk.workflow(ONE)
    for number in range(10):
        pair = [await desk.proposed(workflow_id, {"plan.md": f"{number} {side}\n"}) for side in "ab"]
        answers = await asyncio.gather(*(desk.alice.post(f"{thread.url}/approve") for thread in pair))
        statuses = [answer.status_code for answer in answers]
        assert sorted(statuses) == [200, 409]
        lost = answers[statuses.index(409)].json()
        assert (lost["code"], lost["conflicts"]) == ("base_moved", ["plan.md"])
        assert await desk.draft(workflow_id) == {"plan.md": f"{number} {'ab'[statuses.index(200)]}\n"}


async def test_one_key_is_one_decision(desk: Desk) -> None:
    thread = await desk.proposed(await desk.workflow(), ONE)
    key = {"Idempotency-Key": "k-1"}
    first = await desk.alice.post(f"{thread.url}/approve", headers=key)
    again = await desk.alice.post(f"{thread.url}/approve", headers=key)
    assert (first.status_code, again.status_code, again.json()) == (200, 200, first.json())
    other = await desk.proposed(await desk.workflow(), ONE)
    refused = await desk.alice.post(f"{other.url}/approve", headers=key)
    assert (refused.status_code, refused.json()["code"]) == (409, "idempotency_conflict")
