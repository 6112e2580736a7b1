"""Tasks that hang together, over HTTP and a real keeper: who depends on whom, who descends from whom, and how many."""

from collections.abc import Sequence
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio

from events import Event, EventData, RouteDecided, RunFinished, RunStarted, TaskChecked
from events.ids import derived_id, new_id, run_id
from tests.support.desk import Desk
from tests.support.eventually import eventually
from tests.support.running_gateway import token

pytestmark = pytest.mark.asyncio(loop_scope="module")
HOME = "/api/v1/tasks"
AGENT = "extractive"
FS, SS, FF = "finish_to_start", "start_to_start", "finish_to_finish"


class Tasks:
    """One user's, each new to the gateway that the module shares; the test is reflex, router and agent."""

    def __init__(self, desk: Desk, owner: str) -> None:
        self.desk = desk
        self.owner = owner
        self.client = desk.client(owner)

    async def make(self, prompt: str = "Do it.", **more: object) -> str:
        answer = await self.client.post(HOME, json={"prompt": prompt, **more})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["task_id"])

    async def checked(self, prompt: str = "Do it.", **more: object) -> str:
        task = await self.make(prompt, **more)
        await self.say(task, TaskChecked(task_id=UUID(task), decision="allow", rules_version="1"))
        return task

    async def start(self, task: str) -> None:
        await self.becomes(task, "ready")
        chosen = RouteDecided(task_id=UUID(task), attempt=1, agent_id=AGENT, score=1.0, reason="the only one")
        await self.say(task, chosen, RunStarted.model_validate(self._run(task)))
        await self.becomes(task, "running")

    async def finish(self, task: str) -> None:
        ended = {**self._run(task), "outcome": "succeeded", "output": {"text": "done"}}
        await self.say(task, RunFinished.model_validate(ended))

    async def done(self, task: str) -> None:
        await self.start(task)
        await self.finish(task)
        await self.becomes(task, "succeeded")

    async def say(self, task: str, *said: EventData) -> None:
        for data in said:
            event: Event[EventData] = Event.first(
                data, source="/consumers/test", tenant="acme", owner=self.owner, task_id=UUID(task), event_id=new_id()
            )
            await self.desk.bus.publisher.publish(event)

    async def get(self, path: str, **params: object) -> dict[str, object]:
        answer = await self.client.get(f"{HOME}/{path}", params={name: str(value) for name, value in params.items()})
        assert answer.status_code == 200, answer.text
        found: dict[str, object] = answer.json()
        return found

    async def becomes(self, task: str, status: str, **more: object) -> dict[str, object]:
        found: dict[str, object] = {}

        async def has() -> bool:
            found.update(await self.get(task))
            assert {"status": status, **more}.items() <= found.items(), found
            return True

        await eventually(has)
        return found

    async def post(self, path: str, body: object = None, key: str | None = None) -> httpx.Response:
        headers = {} if key is None else {"Idempotency-Key": key}
        return await self.client.post(f"{HOME}/{path}", json=body, headers=headers)

    def _run(self, task: str) -> dict[str, object]:
        named = {"task_id": task, "attempt": 1, "agent_id": AGENT}
        return {**named, "run_id": run_id(UUID(task), 1), "execution_id": derived_id(task, "execution")}


@pytest_asyncio.fixture(loop_scope="module")
async def mine(desk: Desk) -> Tasks:
    return Tasks(desk, f"owner-{uuid4().hex[:8]}")


@pytest_asyncio.fixture(loop_scope="module")
async def theirs(desk: Desk) -> Tasks:
    return Tasks(desk, f"stranger-{uuid4().hex[:8]}")


def ids(nodes: object) -> list[str]:
    assert isinstance(nodes, list)
    return [node["task_id"] for node in nodes]


async def test_a_task_may_wait_for_starts_and_ends_in_either_spelling(mine: Tasks) -> None:
    other = await mine.checked()
    named = [{"task_id": other, "type": "SS"}, {"task_id": other, "dependency_type": FF, "is_required": True}]
    task = await mine.checked(depends_on=named)
    found = await mine.becomes(task, "waiting", waiting_for=f"dependencies: {other}")
    assert found["depends_on"] == [{"task_id": other, "type": one, "required": True} for one in (SS, FF)]
    await mine.start(other)
    await mine.start(task)
    await mine.finish(task)
    held = await mine.becomes(task, "running", reason="dependencies", result={"text": "done"})
    assert held["waiting_for"] == f"dependencies: {other}"
    graph = await mine.get(f"{task}/dependencies")
    assert (graph["can_start"], graph["blocked_by"], graph["can_finish"], graph["held_by"]) == (
        True,
        [],
        False,
        [other],
    )
    await mine.finish(other)
    await mine.becomes(task, "succeeded", reason="dependencies_met", result={"text": "done"})
    await eventually(lambda: says(mine, task, "waiting", "ready", "assigned", "running", "running", "succeeded"))


async def says(mine: Tasks, task: str, *statuses: str) -> bool:
    """Whether its history has come to that."""
    items = (await mine.get(f"{task}/events"))["items"]
    assert isinstance(items, list)
    told = [item["event"] for item in items if item["data"].get("from_status")]
    assert told == [f"task.{status}" for status in statuses]
    return True


async def test_fault_5_a_required_dependency_that_is_met_lets_start(mine: Tasks) -> None:
    other = await mine.checked()
    task = await mine.checked(depends_on=[other])
    graph = await mine.get(f"{task}/dependencies")
    assert (graph["can_start"], graph["blocked_by"], graph["can_finish"]) == (False, [other], True)
    await mine.done(other)
    graph = await mine.get(f"{task}/dependencies")
    assert (graph["can_start"], graph["blocked_by"]) == (True, [])
    edge = {"task_id": task, "depends_on": other, "type": FS, "required": True, "met": True}
    assert graph["edges"] == [edge]


async def test_the_graph_shows_both_directions_over_any_number_of_tasks(mine: Tasks) -> None:
    first = await mine.make("first")
    second = await mine.make("second", depends_on=[first])
    beside = await mine.make("beside")
    third = await mine.make("third " + "x" * 500, depends_on=[second, beside])
    await mine.make("nobody's")
    for task in (first, second, third):
        graph = await mine.get(f"{task}/dependencies")
        shown = [first, second, third] if task != third else [first, second, beside, third]
        assert ids(graph["nodes"]) == shown
        assert graph["truncated"] is False
    nodes = graph["nodes"]
    assert isinstance(nodes, list)
    assert (nodes[0]["title"], len(nodes[-1]["title"])) == ("first", 200)
    edges = graph["edges"]
    assert isinstance(edges, list)
    assert [(edge["task_id"], edge["depends_on"]) for edge in edges] == [
        *((second, first), (third, second), (third, beside))
    ]


async def test_of_too_many_tasks_the_nearest_are_shown_in_either_direction(
    mine: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.families.MOST_NODES", 1)
    chain = [await mine.make()]
    for _ in range(3):
        chain.append(await mine.make(depends_on=[chain[-1]]))
    for place, shown in ((1, chain[:3]), (2, chain[1:])):
        graph = await mine.get(f"{chain[place]}/dependencies")
        assert (ids(graph["nodes"]), graph["truncated"]) == (shown, True)


async def test_a_dependency_is_added_and_removed_until_the_task_is_ready(mine: Tasks) -> None:
    first, second = await mine.make(), await mine.make()
    task = await mine.make(depends_on=[first])
    path = f"{task}/dependencies"
    body = {"task_id": second, "type": "SF", "required": False}
    answer = await mine.post(path, body, key="k")
    assert answer.status_code == 200, answer.text
    added = answer.json()["depends_on"]
    assert added[1:] == [{"task_id": second, "type": "start_to_finish", "required": False}]
    again = await mine.post(path, body, key="k")
    assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
    assert (await mine.post(path, {"task_id": first}, key="k")).json()["code"] == "idempotency_conflict"
    for wrong, why in (({"task_id": second, "type": "SF"}, "already"), ({"task_id": task}, "for itself")):
        refused = await mine.post(path, wrong)
        assert (refused.status_code, refused.json()["code"]) == (409, "refused")
        assert why in refused.json()["detail"]
    ring = await mine.post(f"{first}/dependencies", {"task_id": task})
    assert (ring.status_code, ring.json()["detail"]) == (
        409,
        "To add this dependency is not possible: the task would wait for itself.",
    )
    removed = await mine.client.delete(f"{HOME}/{path}/{first}")
    assert (removed.status_code, removed.json()["depends_on"]) == (200, added[1:])
    assert (await mine.client.delete(f"{HOME}/{path}/{first}")).status_code == 409
    await mine.say(task, TaskChecked(task_id=UUID(task), decision="allow", rules_version="1"))
    await mine.becomes(task, "ready")
    assert (await mine.post(path, {"task_id": first})).status_code == 409


async def test_a_family_is_shown_whole_and_what_was_refused_is_not_of_it(mine: Tasks, theirs: Tasks) -> None:
    root = await mine.make("root")
    first, second = [await mine.make(name, parent_id=root) for name in ("first", "second")]
    grandchild = await mine.make("grandchild", parent_id=first)
    refused = await mine.make("refused", parent_id=root, depends_on=[root])
    await theirs.make("foreign", parent_id=root)
    assert (await mine.becomes(refused, "failed"))["reason"] == "cycle"
    tree = await mine.get(f"{root}/tree")
    subtasks = tree["subtasks"]
    assert isinstance(subtasks, list)
    assert ids(subtasks) == [first, second]
    assert [ids(one["subtasks"]) for one in subtasks] == [[grandchild], []]
    whole = await mine.get(root, include_subtasks=True)
    assert (whole["subtasks"], whole["prompt"]) == (subtasks, "root")
    assert "subtasks" not in await mine.get(root)
    page = await mine.get(f"{root}/subtasks", limit=1)
    assert ids(page["items"]) == [second]
    rest = await mine.get(f"{root}/subtasks", cursor=page["next_cursor"])
    assert (ids(rest["items"]), rest["next_cursor"]) == ([first], None)


async def test_nobody_sees_or_ties_the_tasks_of_another(mine: Tasks, theirs: Tasks) -> None:
    task, own = await mine.make(), await theirs.make()
    for path in ("tree", "subtasks", "dependencies"):
        assert (await theirs.client.get(f"{HOME}/{task}/{path}")).status_code == 404
    assert (await theirs.post(f"{task}/status", {"status": "cancelled"})).status_code == 404
    assert (await theirs.post(f"{task}/dependencies", {"task_id": own})).status_code == 404
    refused = await theirs.post(f"{own}/dependencies", {"task_id": task})
    assert (refused.status_code, "no such task of yours" in refused.json()["detail"]) == (409, True)
    spying = await theirs.make(depends_on=[task])
    graph = await theirs.get(f"{spying}/dependencies")
    assert (ids(graph["nodes"]), graph["edges"], graph["can_start"]) == ([spying], [], False)
    assert (await mine.get(f"{task}/dependencies"))["edges"] == []


async def test_tasks_are_counted_by_status_and_kind(mine: Tasks, theirs: Tasks) -> None:
    await theirs.make()
    task, _ = await mine.make(), await mine.make()
    await mine.post(f"{task}/cancel")
    stats = await mine.get("stats")
    by_status, by_kind = stats["by_status"], stats["by_kind"]
    assert isinstance(by_status, dict)
    assert isinstance(by_kind, dict)
    assert (stats["total"], stats["open"], stats["truncated"]) == (2, 1, False)
    assert {status: number for status, number in by_status.items() if number} == {"submitted": 1, "cancelled": 1}
    assert by_kind == {"goal": 2, "subtask": 0, "turn": 0, "refinement": 0}
    admin = mine.desk.gateway.client(token("boss", scopes=("tasks:read", "admin")))
    async with admin:
        assert (await admin.get(f"{HOME}/stats")).json()["total"] > 2


STEPS: Sequence[tuple[str, str]] = (("paused", "paused"), ("in_progress", "ready"), ("cancelled", "cancelled"))


async def test_a_status_is_entered_by_the_command_that_leads_there(mine: Tasks) -> None:
    task = await mine.checked()
    await mine.start(task)
    for word, status in STEPS:
        answer = await mine.post(f"{task}/status", {"status": word})
        assert (answer.status_code, answer.json()["status"]) == (200, status), answer.text
    held = await mine.checked(hold=True)
    await mine.becomes(held, "waiting")
    assert (await mine.post(f"{held}/status", {"status": "ready"})).json()["status"] == "ready"
    body = {"status": "completed", "result": {"text": "by hand"}}
    for replayed in (None, "true"):
        answer = await mine.post(f"{held}/status", body, key="done")
        assert (answer.status_code, answer.headers.get("idempotency-replayed")) == (200, replayed)
        assert (answer.json()["status"], answer.json()["result"]) == ("succeeded", body["result"])
    failed = await mine.checked()
    answer = await mine.post(f"{failed}/status", {"status": "failed", "code": "no_time", "message": "Too late."})
    assert answer.json()["error"] == {"code": "no_time", "message": "Too late.", "retryable": False}
    assert (await mine.post(f"{failed}/status", {"status": "running"})).json()["status"] == "ready"


async def test_a_status_that_no_command_leads_to_is_refused_and_says_which_do(mine: Tasks) -> None:
    task = await mine.checked()
    await mine.becomes(task, "ready")
    for word in ("assigned", "in_progress", "skipped", "blocked", "partial", "ready", "paused"):
        answer = await mine.post(f"{task}/status", {"status": word})
        assert answer.status_code == 409
        assert answer.json()["detail"] == (
            f"No command makes a task that is ready {word}. It can be made: succeeded, failed, cancelled."
        )
    await mine.post(f"{task}/cancel")
    answer = await mine.post(f"{task}/status", {"status": "failed"})
    assert "It can be made: nothing else." in answer.json()["detail"]
    assert (await mine.post(f"{task}/status", {"status": "flying"})).status_code == 422
