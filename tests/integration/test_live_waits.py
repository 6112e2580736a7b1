"""The live state and tasks that wait once more: what is heard late, or again, takes back nothing that came after it."""

from collections.abc import AsyncGenerator
from uuid import UUID

import pytest
from redis.asyncio import Redis

from consumers.router.heard import ops_of
from events import Event
from events.ids import new_id
from events.task import Status, TaskEntered, TaskWaiting
from storage.live.heard import release
from storage.live.store import LiveAgents, Op
from storage.live.view import member_of
from tests.integration.test_live_agents import A, given
from tests.support.live import ask, build, joins, live_agents


@pytest.fixture
async def live(redis_url: str) -> AsyncGenerator[LiveAgents]:
    async with live_agents(redis_url) as live:
        await build(live)
        yield live


@pytest.fixture
async def redis(redis_url: str) -> AsyncGenerator[Redis]:
    redis = Redis.from_url(redis_url)
    yield redis
    await redis.aclose()


def heard(task_id: UUID, kind: type[TaskEntered], *, version: int, was: Status, reason: str | None = None) -> list[Op]:
    data = kind(task_id=task_id, kind="goal", from_status=was, version=version, attempt=1, reason=reason)
    return ops_of(Event.first(data, source="/keeper", tenant="t", owner="o", task_id=task_id))


async def test_a_wait_that_is_heard_again_once_it_is_over_takes_no_slot_back(live: LiveAgents) -> None:
    """As from a router that was killed when it had given the slot and had not said so."""
    task_id = new_id()
    waits = heard(task_id, TaskWaiting, version=2, was="submitted", reason="dependencies")
    ready = ask(member_of(task_id, 1), A, version=3)
    await live.apply([joins("AGENT-A"), *waits])
    assert await given(live, ready) == [A]
    await live.apply(waits)
    assert await given(live, ready) == [A]
    assert live.view[A].in_flight == 1


async def test_a_task_that_was_ready_and_waits_once_more_gives_its_slot_back_and_gets_one_when_it_is_ready_again(
    live: LiveAgents, redis: Redis
) -> None:
    """It was divided before anybody took it; its first ready, or that wait, may come again at any time."""
    task_id = new_id()
    first, second = (ask(member_of(task_id, 1), A, version=version) for version in (2, 4))
    waits = heard(task_id, TaskWaiting, version=3, was="ready", reason="planning")
    await live.apply([joins("AGENT-A", capacity=1)])
    assert await given(live, first) == [A]
    await live.apply(waits)
    assert live.view[A].in_flight == 0
    assert await given(live, first) == ["over"]
    assert await given(live, second) == [A]
    await live.apply(waits)
    assert await given(live, second) == [A]
    assert await given(live, ask("other:1", A)) == ["all_busy"]
    await live.apply([release(member_of(task_id, 1), "s", "x")])
    await live.apply(waits)
    assert not await redis.exists("ganglion:agents:asked")


async def test_a_task_that_waits_once_more_is_in_no_line_until_it_is_ready_again(live: LiveAgents) -> None:
    task_id = new_id()
    first, second = (ask(member_of(task_id, 1), A, version=version) for version in (2, 4))
    waits = heard(task_id, TaskWaiting, version=3, was="ready", reason="planning")
    await live.apply([joins("AGENT-A", capacity=1)])
    assert await given(live, ask("other:1", A), first) == [A, "all_busy"]
    assert (await live.apply(waits)).waiting == 0
    assert await given(live, second) == ["all_busy"]
    assert (await live.apply(waits)).waiting == 1
