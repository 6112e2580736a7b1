"""Sessions, workflows and proposals through the door: as over their routes, for those who may."""

import uuid

import pytest

from events import Event, TaskChecked
from tests.support.doorstep import CONTROL, Doorstep, Json, event
from tests.support.running_gateway import token

pytestmark = pytest.mark.asyncio(loop_scope="module")

WORKFLOW, PROPOSAL, SESSION, CONTEXT = (
    f"io.ganglion.{name}.v1" for name in ("workflow.control", "proposal.decide", "session.control", "context.change")
)


async def test_a_workflow_is_made_published_and_read(doorstep: Doorstep) -> None:
    command: Json = {"action": "create", "name": "Greeter", "files": {"README.md": "# Greeter"}}
    async with doorstep.outsider() as alice, doorstep.http() as http:
        made = [await alice.ask(event(id="w-1", type=WORKFLOW, data=command)) for _ in range(2)]
        workflow_id = made[0].body["subject"]
        published = await alice.ask(event(type=WORKFLOW, data={"action": "publish", "workflow_id": workflow_id}))
        version = (await http.get(f"/api/workflows/{workflow_id}/versions/1")).json()
    assert [answer.body["outcome"] for answer in made] == ["applied", "applied"]
    assert made[1].headers["Idempotency-Replayed"] == "true"
    assert (published.status, published.body["outcome"]) == (202, "applied")
    assert version["files"]["README.md"]["content"] == "# Greeter"


async def test_a_version_is_deployed_and_a_locked_workflow_is_not_changed(doorstep: Doorstep) -> None:
    create: Json = {"action": "create", "name": "Greeter", "files": {"README.md": "# Greeter"}}
    admin = token("warden", scopes=("tasks:read", "tasks:write", "admin"))
    async with (
        doorstep.outsider() as alice,
        doorstep.http() as http,
        doorstep.outsider("warden", bearer=admin) as warden,
    ):
        about: Json = {"workflow_id": (await alice.ask(event(type=WORKFLOW, data=create))).body["subject"]}
        steps: list[Json] = [{"action": "publish"}, {"action": "deploy", "version_number": 1}]
        done = [await alice.ask(event(type=WORKFLOW, data={**about, **step})) for step in steps]
        missing = await alice.ask(event(type=WORKFLOW, data={**about, "action": "deploy", "version_number": 2}))
        locked = await warden.ask(event(type=WORKFLOW, data={**about, "action": "lock", "ttl_seconds": 60}))
        refused = await alice.ask(event(type=WORKFLOW, data={**about, "action": "discard"}))
        unlocked = await alice.ask(event(type=WORKFLOW, data={**about, "action": "unlock"}))
        shown = (await http.get(f"/api/workflows/{about['workflow_id']}")).json()
    assert [answer.body["outcome"] for answer in (*done, locked, unlocked)] == ["applied"] * 4
    assert (missing.status, missing.body["code"]) == (404, "not_found")
    assert (refused.status, refused.body["code"], refused.body["retryable"]) == (423, "workflow_locked", True)
    assert (shown["production_version"], shown["is_locked"]) == (1, False)


async def test_a_context_is_made_changed_joined_and_deleted(doorstep: Doorstep) -> None:
    async with doorstep.outsider() as alice, doorstep.outsider("bob") as bob, doorstep.http() as http:
        create: Json = {"action": "create", "scope": "global", "data": {"a": 1}}
        made = [await alice.ask(event(id="c-1", type=CONTEXT, data=create)) for _ in range(2)]
        context_id = made[0].body["subject"]
        ops: Json = {"ops": [{"op": "set", "path": "b.c", "value": None}], "expected_version": 1}
        change: Json = {"action": "change", "context_id": context_id, **ops}
        foreign = await bob.ask(event(type=CONTEXT, data=change))
        changed, late = [await alice.ask(event(type=CONTEXT, data=change)) for _ in range(2)]
        other = await alice.ask(event(type=CONTEXT, data={**create, "data": {"z": 2}}))
        merge: Json = {"action": "merge", "target_id": context_id, "source_ids": [other.body["subject"]]}
        merged = await alice.ask(event(type=CONTEXT, data=merge))
        shown = (await http.get(f"/api/v1/contexts/{context_id}")).json()
        gone = await alice.ask(event(type=CONTEXT, data={"action": "delete", "context_id": context_id}))
        after = await http.get(f"/api/v1/contexts/{context_id}")
    assert [answer.body["outcome"] for answer in (*made, changed, merged, gone)] == ["applied"] * 5
    assert made[1].headers["Idempotency-Replayed"] == "true"
    assert (foreign.status, foreign.body["code"]) == (404, "context_not_found")
    assert (late.status, late.body["code"]) == (409, "context_conflict")
    assert (shown["version"], shown["data"]) == (3, {"a": 1, "b": {"c": None}, "z": 2})
    assert after.status_code == 404


async def test_another_owners_workflow_is_not_there(doorstep: Doorstep) -> None:
    async with doorstep.outsider() as alice, doorstep.outsider("bob") as bob:
        made = await alice.ask(event(type=WORKFLOW, data={"action": "create", "name": "Mine"}))
        command: Json = {"action": "discard", "workflow_id": made.body["subject"]}
        refused = await bob.ask(event(type=WORKFLOW, data=command))
    assert (refused.status, refused.body["code"]) == (404, "not_found")


async def test_what_the_keeper_forbids_is_a_conflict_with_its_reason(doorstep: Doorstep) -> None:
    async with doorstep.outsider() as alice:
        made = await alice.ask(event(type=WORKFLOW, data={"action": "create", "name": "Moved"}))
        command: Json = {"action": "publish", "workflow_id": made.body["subject"], "expected_version": 7}
        refused = await alice.ask(event(type=WORKFLOW, data=command))
    assert (refused.status, refused.body["retryable"]) == (409, False)
    assert refused.body["code"] not in {"refused", "internal_error"}


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (PROPOSAL, {"proposal_id": str(uuid.uuid4()), "decision": "approve"}),
        (WORKFLOW, {"workflow_id": str(uuid.uuid4()), "action": "publish"}),
        (SESSION, {"session_id": "nobodys", "action": "archive"}),
        (CONTEXT, {"scope": "session", "session_id": "nobodys", "action": "create"}),
    ],
)
async def test_what_does_not_exist_is_not_found(kind: str, data: Json, doorstep: Doorstep) -> None:
    async with doorstep.outsider() as alice:
        answer = await alice.ask(event(type=kind, data=data))
    assert (answer.status, answer.body["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("kind", "data", "field"),
    [
        (PROPOSAL, {"proposal_id": str(uuid.uuid4()), "decision": "expire"}, "data.decision"),
        (PROPOSAL, {"proposal_id": str(uuid.uuid4()), "decision": "approve", "by": "bob"}, "data.by"),
        (WORKFLOW, {"action": "create", "name": "x", "by": "bob"}, "data.by"),
        (WORKFLOW, {"action": "create", "name": "x", "files": {"../etc/passwd": "x"}}, "data.files"),
        (SESSION, {"session_id": "a b", "action": "update"}, "data.session_id"),
        (CONTEXT, {"context_id": str(uuid.uuid4()), "action": "expire"}, "data"),
        (CONTEXT, {"action": "create", "scope": "global", "by": "bob"}, "data.by"),
    ],
)
async def test_who_and_what_is_not_for_the_sender_to_choose(
    kind: str, data: Json, field: str, doorstep: Doorstep
) -> None:
    async with doorstep.outsider() as alice:
        answer = await alice.ask(event(type=kind, data=data))
    assert answer.status == 422
    errors = answer.body["errors"]
    assert isinstance(errors, list)
    assert any(str(fault["field"]).startswith(field) for fault in errors if isinstance(fault, dict)), errors


async def test_a_session_is_described_anew_by_its_owner_and_nobody_else(doorstep: Doorstep) -> None:
    async with doorstep.outsider() as alice, doorstep.outsider("bob") as bob, doorstep.http() as http:
        opened = await http.post("/api/v1/sessions", json={"title": "First", "initial_prompt": "Summarise: it rained."})
        assert opened.status_code in {201, 202}, opened.text
        session_id = opened.json()["id"]
        command: Json = {"session_id": session_id, "action": "update", "title": "Second"}
        refused = await bob.ask(event(type=SESSION, data=command))
        done = await alice.ask(event(type=SESSION, data=command))
        shown = (await http.get(f"/api/v1/sessions/{session_id}")).json()
    assert refused.status == 404
    assert (done.status, done.body["outcome"]) == (202, "applied")
    assert shown["title"] == "Second"


async def test_what_a_task_depends_on_is_changed_until_it_is_ready(doorstep: Doorstep) -> None:
    async with doorstep.outsider() as alice, doorstep.outsider("bob") as bob, doorstep.http() as http:
        task, other = [
            (await http.post("/api/v1/tasks", json={"prompt": "Lay the table.", "hold": True})).json()["task_id"]
            for _ in range(2)
        ]
        add: Json = {"task_id": task, "action": "add_dependency", "dependency": {"task_id": other, "type": "SS"}}
        foreign = await bob.ask(event(type=CONTROL, data=add))
        added, again = [await alice.ask(event(type=CONTROL, data=add)) for _ in range(2)]
        depends = (await http.get(f"/api/v1/tasks/{task}")).json()["depends_on"]
        unknown = await alice.ask(event(type=CONTROL, data={**add, "dependency": {"task_id": str(uuid.uuid4())}}))
        ring: Json = {"task_id": other, "action": "add_dependency", "dependency": {"task_id": task}}
        round_about = await alice.ask(event(type=CONTROL, data=ring))
        remove: Json = {"task_id": task, "action": "remove_dependency", "dependency": {"task_id": other}}
        removed, late = [await alice.ask(event(type=CONTROL, data=remove)) for _ in range(2)]
        left = (await http.get(f"/api/v1/tasks/{task}")).json()["depends_on"]
    assert (foreign.status, foreign.body["code"]) == (404, "not_found")
    assert [answer.body["outcome"] for answer in (added, removed)] == ["applied", "applied"]
    assert depends == [{"task_id": other, "required": True, "type": "start_to_start"}]
    refused = [(answer.status, answer.body["code"]) for answer in (again, unknown, round_about, late)]
    assert refused == [
        (409, "depends_already"),
        (409, "unknown_dependency"),
        (409, "cycle"),
        (409, "not_a_dependency"),
    ]
    assert left == []


async def test_an_owner_says_how_a_task_ended(doorstep: Doorstep) -> None:
    async with doorstep.outsider() as alice, doorstep.http() as http:
        tasks = [
            (await http.post("/api/v1/tasks", json={"prompt": "Lay the table.", "hold": True})).json()["task_id"]
            for _ in range(2)
        ]
        ends: list[Json] = [
            {"task_id": tasks[0], "action": "complete", "result": {"text": "Laid."}},
            {"task_id": tasks[1], "action": "fail", "code": "no_plates", "message": "There are no plates."},
        ]
        early = await alice.ask(event(type=CONTROL, data=ends[0]))
        for task in tasks:
            verdict = TaskChecked(task_id=uuid.UUID(task), decision="allow", rules_version="1")
            checked = Event.first(verdict, source="/test", tenant="acme", owner="alice", task_id=verdict.task_id)
            await doorstep.bus.publisher.publish(checked)
        answers = [await alice.ask(event(type=CONTROL, data=end)) for end in ends]
        shown = [(await http.get(f"/api/v1/tasks/{task}")).json() for task in tasks]
    assert (early.status, early.body["code"]) == (409, "not_checked")
    assert [answer.body["outcome"] for answer in answers] == ["applied", "applied"]
    assert (shown[0]["status"], shown[0]["result"]) == ("succeeded", {"text": "Laid."})
    assert (shown[1]["status"], shown[1]["reason"], shown[1]["error"]["message"]) == (
        "failed",
        "no_plates",
        "There are no plates.",
    )


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"action": "add_dependency"}, "data.dependency"),
        ({"action": "remove_dependency", "dependency": {"task_id": "x"}}, "data.dependency.task_id"),
        (
            {"action": "add_dependency", "dependency": {"task_id": str(uuid.uuid4()), "type": "XX"}},
            "data.dependency.type",
        ),
        ({"action": "start", "dependency": {"task_id": str(uuid.uuid4())}}, "data.dependency"),
        ({"action": "follow_up"}, "data.body"),
    ],
)
async def test_a_command_of_a_task_has_what_goes_with_it_and_nothing_else(
    data: Json, field: str, doorstep: Doorstep
) -> None:
    async with doorstep.outsider() as alice:
        answer = await alice.ask(event(type=CONTROL, data={"task_id": str(uuid.uuid4()), **data}))
    errors = answer.body["errors"]
    assert answer.status == 422
    assert isinstance(errors, list)
    assert [fault["field"] for fault in errors if isinstance(fault, dict)] == [field]
