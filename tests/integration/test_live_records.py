"""What the live state remembers of agents is true, whatever lapsed or was built anew meanwhile."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

from consumers.router.router import Router
from consumers.router.transitions import Transitions
from events import AgentChanged, Event, RouteDecided, TaskReady
from events.ids import new_id
from storage.live.heard import beat, hold, outcomes, release, said
from storage.live.store import LiveAgents
from tests.support.live import ask, build, joins, live_agents

A = "t/AGENT-A"
LEASES = f"ganglion:agents:leases:{A}"


@pytest.fixture
async def redis(redis_url: str) -> AsyncGenerator[Redis]:
    redis = Redis.from_url(redis_url)
    yield redis
    await redis.aclose()


@pytest.fixture
async def live(redis_url: str) -> AsyncGenerator[LiveAgents]:
    async with live_agents(redis_url) as live:
        await build(live, [joins("AGENT-A", capacity=8)])
        yield live


async def lapses(live: LiveAgents, redis: Redis, member: str) -> None:
    """Its agent is looked at after the time of the member's lease."""
    await redis.zadd(LEASES, {member: 1})
    await live.apply([said(A, 0, "")])
    assert await redis.zscore(LEASES, member) is None


async def test_runs_that_were_lost_count_though_their_leases_have_lapsed(live: LiveAgents, redis: Redis) -> None:
    """A silent run is lost as long after its last word as its lease lasts: the lease lapses first."""
    for n in range(5):
        await live.apply([], [ask(f"silent-{n}:1", A)])
        await lapses(live, redis, f"silent-{n}:1")
        for _ in range(2):  # said twice, counted once
            await live.apply([release(f"silent-{n}:1", "f", "x")])
    assert live.view[A].window == "fffff"
    assert live.view[A].opened_at > 0
    assert await redis.hlen("ganglion:agents:lapsed") == 0


async def test_the_end_of_a_lapsed_run_offers_its_slot_to_who_waits(live: LiveAgents, redis: Redis) -> None:
    asks = [ask(f"held-{n}:1", A) for n in range(8)]
    await live.apply([], asks)
    await live.apply([], [ask("waits:1", A)])
    await lapses(live, redis, "held-0:1")
    applied = await live.apply([release("held-0:1", "f", "x")])
    assert [offer.member for offer in applied.offers] == ["waits:1"]


async def test_what_is_told_of_an_agent_after_a_loss_is_no_repeat_of_what_was_told_before(
    redis_url: str, redis: Redis
) -> None:
    data = TaskReady(task_id=new_id(), kind="goal", from_status="submitted", version=2, attempt=1)
    cause = Event.first(data, source="/keeper", tenant="t", owner="o", task_id=data.task_id)
    told: list[str] = []
    for _ in range(2):
        async with live_agents(redis_url) as live:
            await build(live, [joins("AGENT-A", capacity=1)])
            await live.look()
            await live.apply([], [ask("one:1", A)])
            told += [event.id for event in Transitions("/router").of(live.view.values(), live.now, cause)]
        await redis.flushall()
    assert len(set(told)) == len(told) == 2


async def test_what_became_of_an_agent_is_told_again_when_its_cause_is_delivered_again(live: LiveAgents) -> None:
    """The bus was away when it was told first, as far as anybody knows."""

    async def nothing(*_: object) -> None: ...

    router = Router(live, nothing, nothing)
    await live.apply([joins("AGENT-A", version=2, capacity=1)])
    data = TaskReady(task_id=new_id(), kind="goal", from_status="submitted", version=2, attempt=1)
    cause, other = (Event.first(data, source="/keeper", tenant="t", owner="o", task_id=data.task_id) for _ in range(2))
    cause = cause.model_copy(update={"time": datetime.now(UTC) + timedelta(minutes=1)})  # later than the live state
    first = await router.route(cause)
    assert {type(event.data) for event in first} == {RouteDecided, AgentChanged}
    again = (await router.route_all([other, cause]))[1]
    assert {event.id for event in first if isinstance(event.data, AgentChanged)} <= {event.id for event in again}


async def test_who_waits_for_a_better_agent_keeps_nobody_from_this_one(live: LiveAgents) -> None:
    """An agent without a record is competent; with one slot free it is shown two tasks."""
    await live.apply([joins("AGENT-A", version=2, capacity=1)])
    waiting = {
        "answer||elite": "one:1",
        "answer||advanced": "two:1",
        "answer||": "three:1",
        "answer||trainee": "four:1",
    }
    for place, (queue, member) in enumerate(waiting.items()):
        await live.apply([], [ask(member, queue=queue, score=place)])
    applied = await live.apply([beat(A, "x")])
    assert [offer.member for offer in applied.offers] == ["three:1", "four:1"]
    await live.apply([hold(f"{n}:1", A) for n in range(50)])
    applied = await live.apply([*(release(f"{n}:1", "s", "x") for n in range(50)), beat(A, "y")])
    assert [offer.member for offer in applied.offers] == ["one:1", "two:1"]


async def test_a_record_that_is_built_twice_as_after_a_lost_answer_is_the_same(redis_url: str) -> None:
    """Three failures are none too many, six in a row would be."""
    async with live_agents(redis_url) as live:
        record = outcomes(A, [("f", 1), ("f", 2), ("f", 3)])
        await build(live, [joins("AGENT-A"), record, record])
        await live.look()
        assert (live.view[A].window, live.view[A].opened_at) == ("fff", 0)


async def test_who_begins_to_build_and_loses_the_answer_may_go_on(redis_url: str) -> None:
    async with live_agents(redis_url) as live, live_agents(redis_url) as other:
        for one in (live, other):
            await one.ping()
        for _ in range(2):
            assert await live._call(live._build, ["begin", "ours", live._run])
        assert not await other._call(other._build, ["begin", "another's", other._run])
        assert await live._call(live._build, ["end", "ours", live._run, ""])
        await live.look()
