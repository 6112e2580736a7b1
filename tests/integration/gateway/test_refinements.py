"""Workflows, refinements and proposals through a real gateway, keeper and proposals consumer."""

import asyncio
from uuid import UUID

import pytest

from events import TaskError
from tests.integration.gateway.test_breaks import held_up
from tests.support.desk import Desk, Thread, texts
from tests.support.eventually import eventually

ONE = {"plan.md": "one\n", "old.md": "gone\n"}
TWO = {"plan.md": "two\n", "THE_SPEC/requirements.md": "must\n"}


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_refinement_becomes_a_draft_with_a_diff_in_between(desk: Desk) -> None:
    workflow_id = await desk.workflow(ONE)
    thread = await desk.refine(workflow_id)
    early = await thread.get()
    assert (early["status"], early["generated_files"], early["user_prompt"]) == ("processing", None, "Greet in French.")
    await thread.run([{"draft.md": "x"}, TWO])
    found = await thread.becomes("completed")
    assert (texts(found), found["summary"]) == (TWO, "2 files: 1 added, 1 changed, 1 removed")
    answer = await desk.alice.get(thread.url, headers={"Accept": "text/x-diff"})
    assert answer.headers["content-type"].startswith("text/x-diff")
    assert answer.text == found["diff"] == (await desk.alice.get(f"{thread.url}/diff")).text
    assert "-one\n+two\n" in answer.text
    approved = await desk.alice.post(f"{thread.url}/approve", headers={"If-Match": answer.headers["etag"]})
    assert (approved.status_code, set(approved.json())) == (200, {"proposal_id", "approved_at", "message"})
    assert await desk.draft(workflow_id) == TWO
    after = await thread.get()
    assert (after["status"], after["resolution"], after["resolved_by"]) == ("resolved", "approved", "alice")
    assert after["diff"] == found["diff"]


async def test_the_answer_to_a_refinement_is_the_documents(desk: Desk) -> None:
    workflow_id = await desk.workflow()
    path = f"/api/workflows/{workflow_id}/refinements"
    asked = {"user_prompt": "Greet.", "context_file_path": "plan.md", "context_selection": "1. Begin"}
    answer = await desk.alice.post(path, json=asked)
    body = answer.json()
    assert set(body) == {"proposal_id", "thread_id", "status", "websocket_url", "created_at"}
    assert (answer.status_code, body["status"]) == (202, "processing")
    assert body["websocket_url"] == f"/api/ws/refinements/{body['thread_id']}"
    found = (await desk.alice.get(answer.headers["location"])).json()
    assert {name: found[name] for name in asked} == asked
    task = (await desk.alice.get(f"/api/v1/tasks/{body['thread_id']}")).json()
    assert (task["kind"], task["session_id"]) == ("refinement", workflow_id)


async def test_a_rejected_proposal_leaves_the_draft_alone_and_says_why(desk: Desk) -> None:
    workflow_id = await desk.workflow(ONE)
    thread = await desk.proposed(workflow_id, TWO)
    answer = await desk.alice.post(f"{thread.url}/reject", json={"reason": "Too long."})
    assert (answer.status_code, set(answer.json())) == (200, {"proposal_id", "message"})
    found = await thread.get()
    assert (found["status"], found["resolution"], found["reason"]) == ("resolved", "rejected", "Too long.")
    assert await desk.draft(workflow_id) == ONE


async def test_a_run_that_crashes_after_five_snapshots_and_ends_with_three_shows_the_second_ones_files(
    desk: Desk,
) -> None:
    thread = await desk.refine(await desk.workflow())
    await thread.start()
    for seq in range(1, 6):
        await thread.snapshot(seq, {f"first-{n}.md": "x" for n in range(seq)})
    await thread.finish("lost", snapshot=None)
    thread.attempt = 2
    second = [{f"second-{n}.md": "y" for n in range(seq)} for seq in range(1, 4)]
    await thread.run(second)
    assert texts(await thread.becomes("completed")) == second[-1]


async def test_a_refinement_that_fails_says_so_and_is_never_stuck(desk: Desk) -> None:
    thread = await desk.refine(await desk.workflow())
    await thread.start()
    error = TaskError(code="engine_error", message="The engine could not make sense of it.")
    await thread.finish("failed", snapshot=None, error=error)
    found = await thread.becomes("failed")
    assert found["error"] == {"code": "engine_error", "message": "The engine could not make sense of it."}
    for refused in (await desk.alice.post(f"{thread.url}/approve"), await desk.alice.get(f"{thread.url}/diff")):
        assert (refused.status_code, refused.json()["code"], refused.json()["retryable"]) == (409, "not_ready", False)
        assert "error" in refused.json()["detail"]


async def test_who_decides_too_early_may_decide_under_the_same_key_later(desk: Desk) -> None:
    thread = await desk.refine(await desk.workflow())
    key = {"Idempotency-Key": f"decide-{thread.id}"}
    early = await desk.alice.post(f"{thread.url}/approve", headers=key)
    assert (early.status_code, early.json()["code"], early.json()["retryable"]) == (409, "not_ready", True)
    await thread.run([ONE])
    await thread.becomes("completed")
    assert (await desk.alice.post(f"{thread.url}/approve", headers=key)).status_code == 200
    again = await desk.alice.post(f"{thread.url}/approve", headers=key)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")


async def test_a_cancelled_refinement_closes_its_proposal(desk: Desk) -> None:
    thread = await desk.refine(await desk.workflow())
    await thread.start()
    await thread.snapshot(1, ONE)
    assert (await desk.alice.post(f"/api/v1/tasks/{thread.id}/cancel")).status_code == 200
    found = await thread.becomes("failed")
    assert found["error"] == {"code": "task_cancelled", "message": "The refinement was cancelled."}
    assert (await desk.alice.post(f"{thread.url}/approve")).json()["code"] == "already_decided"


@pytest.mark.parametrize("reason", ["no_files", "task_cancelled", "base_moved"])
async def test_a_person_may_give_any_reason(desk: Desk, reason: str) -> None:
    thread = await desk.proposed(await desk.workflow(), ONE)
    assert (await desk.alice.post(f"{thread.url}/reject", json={"reason": reason})).status_code == 200
    found = await thread.get()
    assert (found["status"], found["resolution"], found["reason"]) == ("resolved", "rejected", reason)
    assert found["error"] is None


async def test_undecided_proposals_hold_nothing_up(desk: Desk) -> None:
    workflow_id = await desk.workflow(ONE)
    waiting = await desk.proposed(workflow_id, TWO)
    second = await desk.proposed(workflow_id, {"other.md": "x"})
    assert (await desk.alice.post(f"{second.url}/approve")).status_code == 200
    assert (await waiting.get())["status"] == "superseded"
    third = await desk.proposed(workflow_id, TWO)
    assert (await third.get())["status"] == "completed"


async def test_what_is_overtaken_is_refused_with_the_paths_that_differ(desk: Desk) -> None:
    workflow_id = await desk.workflow(ONE)
    first, other = await desk.proposed(workflow_id, TWO), await desk.proposed(workflow_id, {"plan.md": "three\n"})
    assert (await desk.alice.post(f"{first.url}/approve")).status_code == 200
    refused = await desk.alice.post(f"{other.url}/approve")
    body = refused.json()
    assert (refused.status_code, body["code"]) == (409, "base_moved")
    assert body["conflicts"] == ["THE_SPEC/requirements.md", "old.md", "plan.md"]
    assert (await other.get())["conflicts"] == body["conflicts"]
    assert await desk.draft(workflow_id) == TWO


async def test_who_saw_something_else_approves_nothing(desk: Desk) -> None:
    workflow_id = await desk.workflow()
    thread = await desk.proposed(workflow_id, ONE)
    for tag in ('"' + "0" * 64 + '"', "W/" + '"' + "0" * 64 + '"', "nonsense"):
        refused = await desk.alice.post(f"{thread.url}/approve", headers={"If-Match": tag})
        assert (refused.status_code, refused.json()["code"]) == (412, "stale_digest")
    assert await desk.draft(workflow_id) == {}
    assert (await desk.alice.post(f"{thread.url}/approve", headers={"If-Match": "*"})).status_code == 200


async def test_a_repeated_decision_gets_the_first_answer_and_another_one_is_refused(desk: Desk) -> None:
    thread = await desk.proposed(await desk.workflow(), ONE)
    first = await desk.alice.post(f"{thread.url}/approve")
    again = await desk.alice.post(f"{thread.url}/approve")
    assert (again.status_code, again.json()) == (200, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    refused = await desk.alice.post(f"{thread.url}/reject")
    body = refused.json()
    assert (refused.status_code, body["code"], body["resolution"]) == (409, "already_decided", "approved")
    assert (body["resolved_by"], body["resolved_at"]) == ("alice", first.json()["approved_at"])


async def test_the_audit_trail_is_the_tasks_history(desk: Desk) -> None:
    thread = await desk.proposed(await desk.workflow(), ONE)
    await desk.alice.post(f"{thread.url}/reject", json={"reason": "No."})

    async def is_told() -> bool:
        history = (await desk.alice.get(f"/api/v1/tasks/{thread.id}/events?limit=100")).json()["items"]
        told = [(item["event"], item["data"].get("by")) for item in history if item["event"].startswith("proposal.")]
        assert told == [
            ("proposal.extracting", None),
            ("proposal.extracted", None),
            ("proposal.pending", None),
            ("proposal.decide", "alice"),
            ("proposal.rejected", "alice"),
        ]
        return True

    await eventually(is_told)


@pytest.mark.parametrize("outcome", ["succeeded", "failed"])
async def test_who_prefers_to_wait_gets_the_proposal_as_it_ends(desk: Desk, outcome: str) -> None:
    workflow_id, key = await desk.workflow(), {"Idempotency-Key": f"waits-{outcome}"}
    path, asked = f"/api/workflows/{workflow_id}/refinements", {"instructions": "Greet."}
    accepted = (await desk.alice.post(path, json=asked, headers={**key, "Prefer": "wait=0"})).json()
    waiting = asyncio.create_task(desk.alice.post(path, json=asked, headers={**key, "Prefer": "wait=60"}))
    thread = Thread(desk, UUID(accepted["thread_id"]), accepted["proposal_id"], workflow_id)
    await thread.start()
    await thread.snapshot(1, TWO)
    assert not waiting.done()
    await thread.finish(outcome)
    answer = await waiting
    assert (answer.status_code, answer.headers["preference-applied"]) == (200, "wait=60")
    assert answer.json() == await thread.get()
    assert answer.json()["status"] == {"succeeded": "completed", "failed": "failed"}[outcome]
    again = await desk.alice.post(path, json=asked, headers={**key, "Prefer": "wait=60"})
    assert (again.status_code, again.headers["idempotency-replayed"], again.json()) == (200, "true", answer.json())


async def test_who_waits_for_a_proposal_that_came_while_the_hub_began_anew_gets_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow_id, key = await desk.workflow(), {"Idempotency-Key": "while-it-began-anew"}
    thread = await desk.refine(workflow_id, key)
    async with held_up(desk.gateway.gateway.hub, monkeypatch, "_open"):
        waiting = asyncio.create_task(desk.ask(workflow_id, {**key, "Prefer": "wait=2"}))
        await eventually(lambda: str(thread.id) in desk.gateway.gateway.hub.endings._awaited)
        await thread.run([TWO])
        await thread.becomes("completed")
    answer = await waiting
    assert (answer.status_code, answer.json()["status"]) == (200, "completed")


async def test_a_proposal_that_does_not_come_in_time_is_a_202(desk: Desk) -> None:
    path = f"/api/workflows/{await desk.workflow()}/refinements"
    answer = await desk.alice.post(path, json={"instructions": "Greet."}, headers={"Prefer": "wait=1"})
    assert (answer.status_code, answer.headers["preference-applied"], answer.json()["status"]) == (
        *(202, "wait=1"),
        "processing",
    )
