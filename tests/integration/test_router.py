"""The router by itself on a real Valkey: what it makes of events that come again, and in another order."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from redis.asyncio import Redis

from consumers.router.asks import ask_for
from consumers.router.router import Router
from events import Event, EventData, RouteDecided, RouteFailed, TaskReady, TaskSucceeded, TaskWaiting
from events.ids import new_id
from events.task import Status, TaskEntered
from storage.live.store import LiveAgents
from storage.lookup import TaskView
from tests.support.live import build, joins, live_agents

Told = list[list[str | None]]


@pytest.fixture
async def live(redis_url: str) -> AsyncGenerator[LiveAgents]:
    async with live_agents(redis_url) as live:
        await build(live, [joins("AGENT-A", capacity=1)])
        yield live


async def _nothing() -> None: ...


async def _unknown(_: UUID) -> TaskView | None:
    return None


def a_router(live: LiveAgents) -> Router:
    """As a process that has just started has it."""
    return Router(live, _nothing, _unknown)


def state(
    task_id: UUID, kind: type[TaskEntered], version: int, *, was: Status = "waiting", reason: str | None = None
) -> Event[EventData]:
    data = kind(
        task_id=task_id,
        kind="goal",
        from_status=was,
        version=version,
        attempt=1,
        reason=reason,
        required_capabilities=("answer",),
    )
    return Event.first(data, source="/keeper", tenant="t", owner="o", task_id=task_id)


async def told(router: Router, *events: Event[EventData]) -> Told:
    """Which agent each event led to."""
    outputs = await router.route_all(events)
    return [[one.data.agent_id for one in given if isinstance(one.data, RouteDecided)] for given in outputs]


async def test_who_waited_for_another_task_is_routed_though_the_router_dies_before_it_says_so(live: LiveAgents) -> None:
    task_id = new_id()
    waits = state(task_id, TaskWaiting, 2, was="submitted", reason="dependencies")
    ready = state(task_id, TaskReady, 3, reason="dependencies_met")
    assert await told(a_router(live), waits, ready) == [[], ["AGENT-A"]]
    assert await told(a_router(live), waits, ready) == [[], ["AGENT-A"]]
    assert await told(a_router(live), ready, waits) == [["AGENT-A"], []]


async def test_who_became_ready_for_good_is_routed_in_whatever_order_it_is_heard(live: LiveAgents) -> None:
    task_id = new_id()
    first = state(task_id, TaskReady, 2)
    waits = state(task_id, TaskWaiting, 3, was="ready", reason="planning")
    second = state(task_id, TaskReady, 4)
    assert await told(a_router(live), first, waits) == [[], []]
    assert await told(a_router(live), second, waits, first) == [["AGENT-A"], [], []]
    assert await told(a_router(live), first) == [[]]
    assert live.view["t/AGENT-A"].in_flight == 1


async def test_who_is_given_a_slot_because_another_asked_behind_it_is_told_so_though_the_router_dies_before(
    live: LiveAgents,
) -> None:
    """The room that an end makes is offered on behalf of the last one that saw it."""
    held, waits, last = (state(new_id(), TaskReady, 2, was="submitted") for _ in range(3))
    last = last.model_copy(update={"time": datetime.now(UTC) + timedelta(seconds=5)})  # after the state was built
    assert await told(a_router(live), held, waits) == [["AGENT-A"], []]
    assert held.taskid is not None
    ended = state(held.taskid, TaskSucceeded, 5, was="running")
    assert await told(a_router(live), ended, last) == [[], ["AGENT-A"]]
    assert live.view["t/AGENT-A"].in_flight == 1
    assert await told(a_router(live), ended, last) == [[], ["AGENT-A"]]


async def test_who_became_ready_while_the_state_was_built_is_told_why_it_waits(
    live: LiveAgents, redis_url: str
) -> None:
    """The builder has put it in line already, as it is in Postgres; it is offered a slot that another one gets."""
    other, ready = state(new_id(), TaskReady, 2), state(new_id(), TaskReady, 2)
    needs = {"required_capabilities": ("answer", "special")}  # so each is the first of a line of its own
    other = other.model_copy(update={"data": other.data.model_copy(update=needs)})
    parked = [ask_for(one, one.data, (), cause=one.id, why="all_busy") for one in (other, ready)]  # type: ignore[arg-type]  # as made above

    async def rebuild() -> None:
        async with live.building() as token:
            assert token is not None
            first = parked[0]._replace(score=0.0)
            both = joins("AGENT-A", capacity=1, capabilities={"answer": 1.0, "special": 1.0})
            await live.apply([both], [first, parked[1]], builder=token)

    async with Redis.from_url(redis_url) as redis:
        await redis.flushall()
    (outputs,) = await Router(live, rebuild, _unknown).route_all([ready])
    said = {one.taskid: type(one.data) for one in outputs if one.taskid is not None}
    assert said == {other.taskid: RouteDecided, ready.taskid: RouteFailed}


async def test_who_is_given_a_slot_once_the_state_is_built_is_told_so_though_the_router_dies_before(
    live: LiveAgents, redis_url: str
) -> None:
    """Who has built it looks who waits, on behalf of whatever event it has in hand."""
    ready, about_nobody = state(new_id(), TaskReady, 2), state(new_id(), TaskWaiting, 2, reason="hold")
    assert isinstance(ready.data, TaskReady)
    parked = ask_for(ready, ready.data, (), cause=ready.id, why="all_busy")

    async def rebuild() -> None:
        async with live.building() as token:
            assert token is not None
            await live.apply([joins("AGENT-A", capacity=1)], [parked], builder=token)

    async with Redis.from_url(redis_url) as redis:
        await redis.flushall()
    for _ in range(2):
        assert await told(Router(live, rebuild, _unknown), about_nobody) == [["AGENT-A"]]
