"""A browser's EventSource, which comes back by itself with the last id it was given, or with none."""

import httpx

from tests.integration.gateway.test_sockets import submitted
from tests.support.fake_keeper import FakeKeeper
from tests.support.running_gateway import RunningGateway

STREAM = "/api/v1/stream?room=tasks"


async def read_until(client: httpx.AsyncClient, event: str, last_id: str | None) -> tuple[str | None, list[str]]:
    """The last id given, and the names of all messages up to the first with this one; then the connection is cut."""
    seen: list[str] = []
    headers = {} if last_id is None else {"Last-Event-ID": last_id}
    async with client.stream("GET", STREAM, headers=headers) as answer:
        async for line in answer.aiter_lines():
            name, _, value = line.partition(": ")
            if name == "id":
                last_id = value
            elif name == "event":
                seen.append(value)
            elif not line and event in seen:
                break
    return last_id, seen


async def test_what_happens_while_it_is_away_is_shown_although_it_had_seen_no_event_yet(
    gateway: RunningGateway, alice: httpx.AsyncClient, keeper: FakeKeeper
) -> None:
    last_id, _ = await read_until(alice, "subscribed", None)
    assert last_id is not None, "it comes back without a place, and sees what happens from then on"
    await submitted(alice)
    await keeper.enter(await submitted(alice), "running")
    _, seen = await read_until(alice, "task.running", last_id)
    assert seen == ["subscribed", "task.submitted", "task.submitted", "task.running"]
