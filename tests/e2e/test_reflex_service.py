"""A reflex service that runs elsewhere: while it is away tasks wait and say for what, and go on when it is back."""

import httpx
from pydantic import JsonValue

from tests.support.eventually import eventually
from tests.support.reflex_service import CLEAN, reflex_service
from tests.support.stack_parts import running_parts

Body = dict[str, JsonValue]


async def test_a_task_waits_for_a_service_that_is_away_and_succeeds_when_it_is_back() -> None:
    async with reflex_service() as service, running_parts({"REFLEX_URL": service.url}) as parts:
        service.answers = [None]
        async with parts.client("somebody") as client:
            answer = await client.post("/api/v1/tasks", json={"goal": "Summarise: the night was quiet. Nobody came."})
            path = f"/api/v1/tasks/{answer.json()['task_id']}"
            waiting = await eventually(lambda: in_status(client, path, "waiting"), within=15)
            assert waiting is not None
            assert waiting["reason"] == "verdict"
            assert "screening_unavailable" in str(waiting)
            service.answers = [(200, CLEAN)]
            assert await eventually(lambda: in_status(client, path, "succeeded"), within=20)
            checked = [
                event["data"] for event in (await client.get(f"{path}/events")).json()["items"]
                if event["event"] == "task.checked"
            ]  # fmt: skip
            assert [verdict["engine"] for verdict in checked] == ["remote"]


async def in_status(client: httpx.AsyncClient, path: str, status: str) -> Body | None:
    task: Body = (await client.get(path)).json()
    return task if task["status"] == status else None
