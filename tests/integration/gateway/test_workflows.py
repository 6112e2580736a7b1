"""Workflows over HTTP: making, listing, publishing, discarding, and what is refused."""

import pytest

from events.files import digest_of, sha256_of
from tests.support.desk import Desk
from tests.support.running_gateway import token

ONE, TWO = {"plan.md": "one\n"}, {"plan.md": "two\n", "new.json": "{}"}


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_workflow_is_there_once_it_is_answered(desk: Desk) -> None:
    asked = {"name": "Greeter", "description": "Greets.", "files": ONE}
    made = await desk.alice.post("/api/workflows", json=asked, headers={"Idempotency-Key": "w"})
    assert (made.status_code, made.headers["location"]) == (201, f"/api/workflows/{made.json()['id']}")
    found = (await desk.alice.get(made.headers["location"])).json()
    assert found == made.json()
    assert (found["created_by"], found["published_version"]) == ("alice", None)
    digest = digest_of({"plan.md": sha256_of("one\n")})
    assert found["draft"] == {"version": 1, "status": "in_progress", "digest": digest, "paths": ["plan.md"]}
    again = await desk.alice.post("/api/workflows", json=asked, headers={"Idempotency-Key": "w"})
    assert (again.json(), again.headers["idempotency-replayed"]) == (made.json(), "true")
    other = await desk.alice.post("/api/workflows", json={"name": "Other"}, headers={"Idempotency-Key": "w"})
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")


async def test_one_key_is_one_refinement_with_one_answer(desk: Desk) -> None:
    path = f"/api/workflows/{await desk.workflow()}/refinements"
    key = {"Idempotency-Key": "r"}
    first = await desk.alice.post(path, json={"instructions": "Greet."}, headers=key)
    again = await desk.alice.post(path, json={"instructions": "Greet."}, headers=key)
    assert (again.status_code, again.json()) == (202, first.json())
    other = await desk.alice.post(path, json={"instructions": "Leave."}, headers=key)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")


async def test_versions_are_numbered_and_kept(desk: Desk) -> None:
    workflow_id = await desk.workflow(ONE)
    home = f"/api/workflows/{workflow_id}"
    first = await desk.alice.post(f"{home}/versions")
    assert (first.status_code, first.json()["version_number"], first.json()["status"]) == (201, 1, "published")
    assert (await desk.alice.post(f"{home}/versions")).json()["code"] == "nothing_new"
    thread = await desk.proposed(workflow_id, TWO)
    await desk.alice.post(f"{thread.url}/approve")
    stale = await desk.alice.post(f"{home}/versions", json={"expected_version": 1})
    assert (stale.status_code, stale.json()["code"]) == (409, "stale_version")
    second = await desk.alice.post(f"{home}/versions", json={"expected_version": 2}, headers={"Idempotency-Key": "p"})
    assert second.headers["location"] == f"{home}/versions/2"
    repeated = await desk.alice.post(f"{home}/versions", json={"expected_version": 2}, headers={"Idempotency-Key": "p"})
    assert repeated.json() == second.json()
    listed = (await desk.alice.get(f"{home}/versions?limit=1")).json()
    assert ([one["version_number"] for one in listed["items"]], listed["next_cursor"]) == ([2], 2)
    older = (await desk.alice.get(f"{home}/versions?cursor=2")).json()["items"]
    assert [(one["version_number"], one["status"]) for one in older] == [(1, "deprecated")]
    kept = (await desk.alice.get(f"{home}/versions/1")).json()
    assert {path: file["content"] for path, file in kept["files"].items()} == ONE
    assert (await desk.alice.get(f"{home}/versions/3")).status_code == 404


async def test_a_discarded_draft_is_what_was_published(desk: Desk) -> None:
    workflow_id = await desk.workflow(ONE)
    home = f"/api/workflows/{workflow_id}"
    await desk.alice.post(f"{home}/versions")
    await desk.alice.post(f"{(await desk.proposed(workflow_id, TWO)).url}/approve")
    assert (await desk.alice.get(f"{home}/draft")).json()["status"] == "in_progress"
    discarded = await desk.alice.delete(f"{home}/draft")
    assert (discarded.status_code, discarded.json()["draft"]["version"]) == (200, 3)
    assert await desk.draft(workflow_id) == ONE
    assert (await desk.alice.get(f"{home}/draft")).json()["status"] == "unchanged"
    assert (await desk.alice.delete(f"{home}/draft")).json() == discarded.json()


async def test_an_empty_draft_is_not_published(desk: Desk) -> None:
    refused = await desk.alice.post(f"/api/workflows/{await desk.workflow()}/versions")
    assert (refused.status_code, refused.json()["code"]) == (409, "empty_draft")


async def test_lists_are_paged_newest_first(desk: Desk) -> None:
    made = [await desk.workflow() for _ in range(3)]
    first = (await desk.alice.get("/api/workflows?limit=2")).json()
    rest = (await desk.alice.get(f"/api/workflows?limit=2&cursor={first['next_cursor']}")).json()
    assert [item["id"] for item in first["items"] + rest["items"]][:3] == made[::-1]
    threads = [await desk.refine(made[0]), await desk.refine(made[1]), await desk.refine(made[1])]
    await threads[1].run([ONE])
    await threads[1].becomes("completed")
    of_one = (await desk.alice.get(f"/api/proposals?workflow_id={made[1]}&limit=1")).json()
    assert [item["thread_id"] for item in of_one["items"]] == [str(threads[2].id)]
    following = (await desk.alice.get(f"/api/proposals?workflow_id={made[1]}&cursor={of_one['next_cursor']}")).json()
    assert [item["thread_id"] for item in following["items"]] == [str(threads[1].id)]
    assert of_one["next_cursor"] is not None
    done = (await desk.alice.get(f"/api/proposals?status=completed&workflow_id={made[1]}")).json()["items"]
    assert [item["id"] for item in done] == [threads[1].proposal_id]
    assert "generated_files" not in done[0]


async def test_proposals_are_listed_by_the_status_that_they_show(desk: Desk) -> None:
    workflow_id = await desk.workflow(ONE)
    failed, cancelled, open_still = [await desk.refine(workflow_id) for _ in range(3)]
    await failed.start()
    await failed.finish("failed", error={"code": "hostile_files", "message": "No.", "retryable": False})
    await desk.alice.post(f"/api/v1/tasks/{cancelled.id}/cancel")
    for ended in (failed, cancelled):
        await ended.becomes("failed")
    decided, pending = await desk.proposed(workflow_id, TWO), await desk.proposed(workflow_id, TWO)
    await desk.alice.post(f"{decided.url}/reject", json={"reason": "no_files"})

    async def listed(*status: str) -> list[str]:
        query = {"workflow_id": workflow_id, "status": [*status]}
        items = (await desk.alice.get("/api/proposals", params=query)).json()["items"]
        assert {item["status"] for item in items} <= set(status)
        return [str(item["id"]) for item in items]

    assert await listed("failed") == [cancelled.proposal_id, failed.proposal_id]
    assert await listed("processing") == [open_still.proposal_id]
    assert await listed("completed", "resolved") == [pending.proposal_id, decided.proposal_id]
    assert await listed("expired", "superseded") == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("", {"name": ""}),
        ("", {"name": "x", "files": {"../x.md": "x"}}),
        ("", {"name": "x", "files": {"/x.md": "x"}}),
        ("", {"name": "x", "files": {"a.md": "x", "A.md": "y"}}),
        ("", {"name": "x", "files": {"a" * 4_096: "x"}}),
        ("", {"name": "x", "files": {"a.md": "x" * 700_001}}),
        ("", {"name": "x", "surprise": 1}),
        ("/{id}/refinements", {}),
        ("/{id}/refinements", {"instructions": " "}),
        ("/{id}/refinements", {"instructions": "x", "context_file_path": "../x"}),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_what_does_not_fit_is_refused(desk: Desk, path: str, body: dict[str, object]) -> None:
    url = "/api/workflows" + path.format(id=await desk.workflow())
    refused = await desk.alice.post(url, json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")
    assert refused.json()["errors"]


async def test_a_locked_workflow_is_changed_by_who_holds_the_lock_and_nobody_else(desk: Desk) -> None:
    workflow_id = await desk.workflow(ONE)
    home, warden = (
        f"/api/workflows/{workflow_id}",
        desk.gateway.client(token("warden", scopes=("tasks:read", "tasks:write", "admin"))),
    )
    desk.clients.append(warden)
    thread = await desk.proposed(workflow_id, TWO)
    early = await desk.ask(workflow_id, {"Idempotency-Key": "early"})
    locked = (await warden.put(f"{home}/lock", json={"ttl_seconds": 60})).json()
    assert (locked["is_locked"], locked["locked_by"]) == (True, "warden")
    refused = [
        await desk.ask(workflow_id),
        await desk.alice.post(f"{home}/versions", headers={"Idempotency-Key": "later"}),
        await desk.alice.delete(f"{home}/draft"),
        await desk.alice.post(f"{home}/deploy", json={"version_number": 1}),
        await desk.alice.put(f"{home}/lock"),
        await desk.alice.post(f"{thread.url}/approve"),
    ]
    assert [(answer.status_code, answer.json()["code"]) for answer in refused] == [(423, "workflow_locked")] * 6
    assert refused[0].json()["locked_by"] == "warden"
    assert refused[0].json()["locked_until"] == locked["locked_until"]
    again = await desk.ask(workflow_id, {"Idempotency-Key": "early"})
    assert (again.status_code, again.json()) == (202, early.json())
    assert (await warden.post(f"{home}/versions")).status_code == 201
    assert (await desk.alice.delete(f"{home}/lock")).json()["is_locked"] is False
    assert (await desk.alice.post(f"{thread.url}/approve")).status_code == 200
    published = await desk.alice.post(f"{home}/versions", headers={"Idempotency-Key": "later"})
    assert (published.status_code, published.json()["version_number"]) == (201, 2)


async def test_a_published_version_is_deployed(desk: Desk) -> None:
    home = f"/api/workflows/{await desk.workflow(ONE)}"
    asked = {"version_number": 1}
    assert (await desk.alice.post(f"{home}/deploy", json=asked)).status_code == 404
    await desk.alice.post(f"{home}/versions")
    key = {"Idempotency-Key": "d"}
    first = await desk.alice.post(f"{home}/deploy", json=asked, headers=key)
    again = await desk.alice.post(f"{home}/deploy", json=asked, headers=key)
    assert (first.status_code, first.json()["production_version"], first.json()["deployed_by"]) == (200, 1, "alice")
    assert (again.json(), again.headers["idempotency-replayed"]) == (first.json(), "true")
    wrong = await desk.alice.post(f"{home}/deploy", json={"version_number": 0})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "version_number")
    assert (await desk.client("mallory").post(f"{home}/deploy", json=asked)).status_code == 404
