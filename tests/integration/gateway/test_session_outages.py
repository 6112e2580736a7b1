"""Sessions while the keeper is away: what is not known to have happened is not said to have."""

from collections.abc import AsyncGenerator

import pytest

from deploy.local.server import Server
from tests.support.desk import Desk, a_desk
from tests.support.eventually import eventually

HOME = "/api/v1/sessions"


@pytest.fixture
async def broken(module_nats_server: Server, database_url: str) -> AsyncGenerator[Desk]:
    """A desk of this test's own, to take the keeper from."""
    async with a_desk(module_nats_server.url, database_url) as desk:
        yield desk


async def test_a_command_about_a_session_is_kept_and_not_called_done_though_no_keeper_is_there(broken: Desk) -> None:
    described, cancelled, together, deleted = [await _created(broken) for _ in range(4)]
    await broken.keeper.stop()
    answers = [
        await broken.alice.patch(f"{HOME}/{described}", json={"title": "Described anew"}),
        await broken.alice.post(f"{HOME}/{cancelled}/cancel"),
        await broken.alice.delete(f"{HOME}/{deleted}"),
    ]
    for answer, session in zip(answers, (described, cancelled, deleted), strict=True):
        assert (answer.status_code, answer.json()["id"]) == (202, session), answer.text
        assert answer.headers["location"] == f"{HOME}/{session}"
    many = await broken.alice.post(f"{HOME}/bulk", json={"action": "cancel", "session_ids": [together]})
    assert [(one["ok"], one["status"]) for one in many.json()["results"]] == [(True, 202)]
    assert many.json()["results"][0].get("session") is None
    await broken.bus.keeper()
    await eventually(lambda: _is_gone(broken, deleted), within=20)
    assert (await broken.alice.get(f"{HOME}/{described}")).json()["title"] == "Described anew"
    for session in (cancelled, together):
        assert (await broken.alice.get(f"{HOME}/{session}")).json()["status"] == "cancelled"


async def _created(desk: Desk) -> str:
    answer = await desk.alice.post(HOME, json={"title": "Fix-Login-Bug", "initial_prompt": "Find out why it fails."})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def _is_gone(desk: Desk, session: str) -> bool:
    return (await desk.alice.get(f"{HOME}/{session}")).status_code == 404
