"""The scripts of the live state on a real Valkey: slots, the breaker, the queues, and what a restart does to them."""

import asyncio
import time
from collections.abc import AsyncGenerator

import pytest
from redis.asyncio import Redis

from consumers.router.heard import ops_of
from events import Event, TaskCancelled, TaskReady
from events.ids import new_id
from events.task import TaskEntered, TaskWaiting
from storage.live.heard import Outcome, again, beat, hold, outcomes, release, renew, said
from storage.live.store import APART, Ask, ColdError, LiveAgents
from storage.live.view import member_of
from tests.support.live import ask, build, joins, live_agents

A, B = "t/AGENT-A", "t/AGENT-B"


@pytest.fixture
async def live(redis_url: str) -> AsyncGenerator[LiveAgents]:
    async with live_agents(redis_url) as live:
        await build(live)
        yield live


async def given(live: LiveAgents, *asks: Ask) -> list[str]:
    return [one.agent or one.reason for one in (await live.apply([], asks)).given]


async def test_a_state_that_was_not_built_refuses_everything(redis_url: str) -> None:
    async with live_agents(redis_url) as live:
        with pytest.raises(ColdError):
            await live.apply([])
        await build(live)
        await live.apply([])
        redis = Redis.from_url(redis_url)
        await redis.flushall()
        await redis.aclose()
        with pytest.raises(ColdError):
            await live.apply([])


async def test_only_one_builds_and_the_state_is_good_when_it_has_ended(redis_url: str) -> None:
    async with live_agents(redis_url) as first, live_agents(redis_url) as second:
        async with first.building() as token:
            assert token is not None
            async with second.building() as other:
                assert other is None
            with pytest.raises(ColdError):
                await second.apply([])
            with pytest.raises(ColdError):
                await second.apply([], builder="forged")
        await second.apply([])
        async with second.building() as late:
            assert late is None  # what is built is not thrown away by who comes late


async def test_slots_are_given_in_order_up_to_the_capacity_and_again_to_who_repeats(live: LiveAgents) -> None:
    await live.apply([joins("AGENT-A"), joins("AGENT-B", capacity=1)])
    asks = [ask(f"task-{n}:1", A, B) for n in range(4)]
    assert await given(live, *asks) == [A, A, B, "all_busy"]
    assert await given(live, *asks) == [A, A, B, "all_busy"]
    assert {key: agent.in_flight for key, agent in live.view.items()} == {A: 2, B: 1}
    await live.apply([release("task-0:1", "s", "x")])
    assert await given(live, ask("task-9:1", B, A)) == ["all_busy"]  # one waits already: nobody overtakes it
    assert live.view[A].window == "s"


async def test_a_slot_is_freed_once_however_often_it_is_said(live: LiveAgents) -> None:
    await live.apply([joins("AGENT-A")])
    await given(live, ask("one:1", A), ask("two:1", A))
    for _ in range(3):
        await live.apply([release("one:1", "f", "x")])
    assert (live.view[A].in_flight, live.view[A].window) == (1, "f")


async def test_a_lease_lapses_unless_its_run_is_heard_of(live: LiveAgents, redis_url: str) -> None:
    await live.apply([joins("AGENT-A")])
    await given(live, ask("one:1", A), ask("two:1", A))
    redis = Redis.from_url(redis_url)
    await redis.zadd(f"ganglion:agents:leases:{A}", {"one:1": 1, "two:1": 1})
    await live.apply([renew("two:1")])
    assert await given(live, ask("three:1", A), ask("four:1", A)) == [A, "all_busy"]
    assert await redis.hkeys("ganglion:agents:lease") == [b"two:1", b"three:1"]
    await redis.aclose()


async def test_what_is_heard_of_a_run_that_ended_holds_no_slot(live: LiveAgents) -> None:
    await live.apply([joins("AGENT-A")])
    await given(live, ask("one:1", A))
    await live.apply([release("one:1", "s", "x"), renew("one:1")])
    assert live.view[A].in_flight == 0


async def test_an_attempt_that_is_over_gets_no_slot_however_late_its_ready_comes_again(live: LiveAgents) -> None:
    await live.apply([joins("AGENT-A")])
    waits = [ask(f"{n}:1", A) for n in range(4)]
    assert await given(live, ask("one:1", A), *waits) == [A, A, "all_busy", "all_busy", "all_busy"]
    await live.apply([release("one:1", "s", "x"), release("1:1", "", "cancelled while it waited")])
    assert await given(live, ask("one:1", A), ask("1:1", A)) == ["over", "over"]
    assert live.view[A].in_flight == 1
    assert (await live.apply([])).waiting == 2


@pytest.mark.parametrize(
    ("kind", "attempt", "reason"),
    [
        (TaskCancelled, 1, "cancelled_by_owner"),
        (TaskReady, 2, "resumed"),
        (TaskWaiting, 1, "retry"),
        (TaskWaiting, 1, "dependencies"),
    ],
)
async def test_an_end_that_is_heard_before_the_ready_it_ends_leaves_that_no_slot(
    live: LiveAgents, kind: type[TaskEntered], attempt: int, reason: str
) -> None:
    """The ready was put back for a while, or another router has it."""
    task_id = new_id()
    data = kind(task_id=task_id, kind="goal", from_status="ready", version=3, attempt=attempt, reason=reason)
    heard = ops_of(Event.first(data, source="/keeper", tenant="t", owner="o", task_id=task_id))
    await live.apply([joins("AGENT-A"), *heard])
    assert await given(live, ask(member_of(task_id, 1), A, version=2)) == ["over"]


async def test_what_became_ready_before_the_state_was_built_has_to_be_looked_up_first(live: LiveAgents) -> None:
    """It may have ended without the state's knowledge."""
    await live.apply([joins("AGENT-A", capacity=3)])
    before, after = time.time() * 1000 - 60_000, time.time() * 1000 + 60_000
    asks = [ask("old", A, score=before, is_open=False), ask("new", A, score=after, is_open=False)]
    assert [given.agent or given.reason for given in (await live.apply([], asks)).given] == ["late", A]
    again = [ask("old", A, score=2 * APART + before), ask("old", A, score=2 * APART + before, is_open=False)]
    assert [given.agent for given in (await live.apply([], again)).given] == [A, A]


async def test_what_an_event_gave_out_is_given_out_again_only_as_long_as_it_is_held(live: LiveAgents) -> None:
    await live.apply([joins("AGENT-A", capacity=1)])
    assert await given(live, ask("one:1", A), ask("two:1", A)) == [A, "all_busy"]
    ready_again = [again("ready of one:2"), release("one:1", "f", "ready of one:2")]
    assert [offer.member for offer in (await live.apply(ready_again)).offers] == ["two:1"]
    assert await given(live, ask("two:1", A)._replace(again=True, cause="ready of one:2")) == [A]
    assert [offer.member for offer in (await live.apply(ready_again)).offers] == ["two:1"]
    await live.apply([release("two:1", "s", "end of two:1")])
    for _ in range(2):  # as what a killed router had in hand is delivered again
        assert (await live.apply(ready_again)).offers == []


async def test_who_expected_room_and_finds_none_asks_again_with_its_event(live: LiveAgents) -> None:
    await live.apply([joins("AGENT-A", capacity=1)])
    bare = [ask(f"{n}:1", A)._replace(body=b"") for n in range(2)]
    assert await given(live, *bare) == [A, "again"]
    assert (await live.apply([])).waiting == 0
    assert await given(live, ask("1:1", A)) == ["all_busy"]


async def test_a_reason_is_told_again_only_when_it_is_another_one(live: LiveAgents) -> None:
    await live.apply([joins("AGENT-A", capacity=1)])
    waits = ask("waits:1", A)
    assert await given(live, ask("now:1", A)) == [A]
    first, repeat, later = [
        (await live.apply([], [one])).given[0].times for one in (waits, waits, waits._replace(again=True))
    ]
    assert (first, repeat, later) == (1, 1, 0)
    alone = (await live.apply([joins("AGENT-A", version=2, status="offline")], [waits._replace(again=True)])).given
    assert alone[0][1:] == ("no_capability", 2)


async def test_older_news_of_an_agent_changes_nothing(live: LiveAgents) -> None:
    await live.apply([joins("AGENT-A", version=3, capacity=7), joins("AGENT-A", version=2, capacity=1)])
    assert live.view[A].capacity == 7
    await live.apply([joins("AGENT-A", version=4, status="gone")])
    await live.apply([beat(A, "x"), joins("AGENT-A", version=3)])
    assert A not in live.view
    assert await given(live, ask("one:1", A)) == ["no_capability"]


async def test_who_is_not_heard_of_gets_nothing_and_an_index_knows_who_can_what(
    live: LiveAgents, redis_url: str
) -> None:
    await live.apply([joins("AGENT-A", capabilities={"answer": 1, "chat": 0.7})])
    redis = Redis.from_url(redis_url)
    assert await redis.smembers("ganglion:agents:cap:t:chat") == {A.encode()}
    await redis.delete(f"ganglion:agents:beat:{A}")
    assert await given(live, ask("one:1", A)) == ["no_capability"]
    offers = (await live.apply([beat(A, "it lives")])).offers
    assert [(offer.member, offer.cause) for offer in offers] == [("one:1", "it lives")]
    await live.apply([joins("AGENT-A", version=2, capabilities={"answer": 1})])
    assert await redis.smembers("ganglion:agents:cap:t:chat") == set()
    await redis.aclose()


async def test_who_waits_is_offered_a_slot_by_priority_and_age_and_keeps_its_place_until_it_has_one(
    live: LiveAgents,
) -> None:
    await live.apply([joins("AGENT-A", capacity=1)])
    late, early = ask("late:1", A, score=2), ask("early:1", A, score=1)
    assert await given(live, ask("now:1", A), late, early) == [A, "all_busy", "all_busy"]
    for _ in range(2):  # the second time as if the first answer had been lost
        offers = (await live.apply([release("now:1", "s", "end of now")])).offers
        assert [offer.member for offer in offers] in (["early:1"], [])
    once_more = early._replace(again=True, cause="end of now")
    assert await given(live, once_more, ask("new:1", A)) == [A, "all_busy"]
    repeated = (await live.apply([again("end of now"), release("now:1", "s", "end of now")])).offers
    assert [(offer.member, offer.body) for offer in repeated] == [("early:1", b"event of early:1")]
    assert await given(live, once_more) == [A]


async def test_a_task_that_ended_waits_no_more(live: LiveAgents) -> None:
    await live.apply([joins("AGENT-A", capacity=1)])
    assert await given(live, ask("now:1", A), ask("cancelled:1", A)) == [A, "all_busy"]
    assert (await live.apply([release("cancelled:1", "", "x")])).waiting == 0
    assert (await live.apply([release("now:1", "s", "x")])).offers == []


async def test_only_who_can_is_asked_and_what_nobody_can_waits_for_someone_who_comes(live: LiveAgents) -> None:
    await live.apply([joins("AGENT-A", capacity=1)])
    nobody, avoiding = ask("juggle:1", queue="juggle||"), ask("careful:1", A, queue="answer|php|")
    assert await given(live, ask("now:1", A), nobody, avoiding) == [A, "no_capability", "all_busy"]
    joined = [joins("AGENT-B", capabilities={"answer": 1, "juggle": 1}, technologies=["php"], cause="B")]
    assert [offer.member for offer in (await live.apply(joined)).offers] == ["juggle:1"]
    freed = (await live.apply([release("now:1", "s", "x")])).offers
    assert [offer.member for offer in freed] == ["careful:1"]


async def test_those_who_waited_for_somebody_who_can_follow_one_another_once_there_is_one(live: LiveAgents) -> None:
    """As soon as a run ends, and not only when the agent is heard of next."""
    assert await given(live, *(ask(f"{n}:1", score=n) for n in range(3))) == ["no_capability"] * 3
    offers = (await live.apply([joins("AGENT-A", capacity=1)])).offers
    for n in range(3):
        assert [offer.member for offer in offers] == [f"{n}:1"]
        assert await given(live, ask(f"{n}:1", A, score=n, again=True)) == [A]
        offers = (await live.apply([release(f"{n}:1", "s", "x")])).offers
    assert offers == []


async def test_an_agent_of_ours_serves_every_tenant_and_one_of_a_tenant_only_its_own(live: LiveAgents) -> None:
    others = ask("other:1", queue="answer||")._replace(tenant="other")
    assert await given(live, ask("mine:1"), others) == ["no_capability", "no_capability"]
    mine = (await live.apply([joins("AGENT-A", cause="A")])).offers
    assert [offer.member for offer in mine] == ["mine:1"]
    every = (await live.apply([joins("extractive", tenant="_", cause="E")])).offers
    assert sorted(offer.member for offer in every) == ["mine:1", "other:1"]


async def test_five_failures_in_a_row_open_the_breaker_one_probe_goes_through_and_three_successes_close_it(
    live: LiveAgents, redis_url: str
) -> None:
    await live.apply([joins("AGENT-A", capacity=8)])
    for n in range(5):
        assert await given(live, ask(f"bad-{n}:1", A)) == [A]
        await live.apply([release(f"bad-{n}:1", "f", "x")])
    assert live.view[A].opened_at > 0
    assert await given(live, ask("refused:1", A)) == ["all_open"]
    redis = Redis.from_url(redis_url)
    for n in range(3):
        if n == 0:
            await redis.hincrby(f"ganglion:agents:agent:{A}", "opened_at", -60_000)
        assert await given(live, ask(f"probe-{n}:1", A)._replace(again=True)) == [A]
        assert await given(live, ask("beside:1", A)._replace(again=True)) == ["all_open"]
        await live.apply([release(f"probe-{n}:1", "s", "x")])
    assert live.view[A].opened_at == 0
    assert await given(live, ask("one:1", A)._replace(again=True), ask("two:1", A)._replace(again=True)) == [A, A]
    await redis.aclose()


async def test_a_probe_that_fails_opens_the_breaker_again_and_one_that_is_cancelled_says_nothing(
    live: LiveAgents, redis_url: str
) -> None:
    await live.apply([joins("AGENT-A")])
    await live.apply([hold(f"bad-{n}:1", A) for n in range(5)])
    await live.apply([release(f"bad-{n}:1", "f", "x") for n in range(5)])
    redis = Redis.from_url(redis_url)
    await redis.hincrby(f"ganglion:agents:agent:{A}", "opened_at", -60_000)
    assert await given(live, ask("probe:1", A)) == [A]
    await live.apply([release("probe:1", "", "x")])
    assert await given(live, ask("next:1", A)) == [A]
    await live.apply([release("next:1", "f", "x")])
    assert await given(live, ask("later:1", A)) == ["all_open"]
    await redis.aclose()


@pytest.mark.parametrize("record", ["sffsffsffff", "pffpf"], ids=["succeeded", "partial ones count half"])
async def test_below_thirty_percent_of_the_last_twenty_opens_it_too(live: LiveAgents, record: str) -> None:
    await live.apply([joins("AGENT-A", capacity=30)])
    await live.apply([hold(f"{n}:1", A) for n in range(len(record))])
    for n, outcome in enumerate(record):
        assert live.view[A].opened_at == 0, n
        await live.apply([release(f"{n}:1", outcome, "x")])  # type: ignore[arg-type]  # letters of the record
    assert live.view[A].opened_at > 0


async def test_the_record_of_an_agent_is_built_from_its_runs_as_it_was_made(redis_url: str) -> None:
    async with live_agents(redis_url) as live:
        now = 1_000
        history: list[tuple[Outcome, int]] = [("f", now + n) for n in range(5)]
        healed: list[tuple[Outcome, int]] = [("s", now + 70_000 + n) for n in range(3)]
        ops = [joins("AGENT-A"), joins("AGENT-B")]
        await build(live, [*ops, outcomes(A, history), outcomes(B, [*history, *healed])])
        await live.apply([])
        assert (live.view[A].window, live.view[A].opened_at) == ("fffff", now + 4)
        assert (live.view[B].window, live.view[B].opened_at) == ("fffffsss", 0)


async def test_a_transition_is_announced_by_who_counts_further(live: LiveAgents) -> None:
    await live.apply([joins("AGENT-A")])
    await live.apply([said(A, 1, "first"), said(A, 1, "second")])
    await live.apply([hold("x:1", A)])
    assert (live.view[A].said, live.view[A].said_count) == ("first", 1)


async def test_two_routers_never_overfill_an_agent(redis_url: str) -> None:
    async with live_agents(redis_url) as first, live_agents(redis_url) as second:
        await build(first, [joins("AGENT-A", capacity=1)])
        running: set[str] = set()
        members = [f"task-{n}:1" for n in range(200)]

        async def work(live: LiveAgents, left: list[str]) -> None:
            while left:
                asked = await given(live, ask(left[0], A)._replace(again=True))
                if asked == ["all_busy"]:
                    continue
                running.add(left[0])
                assert len(running) == 1
                await asyncio.sleep(0)
                running.discard(left[0])
                await live.apply([release(left.pop(0), "s", "x")])

        await asyncio.gather(work(first, members[::2]), work(second, members[1::2]))
        assert len(first.view[A].window) == 50


async def test_a_view_learns_what_another_router_did(redis_url: str) -> None:
    async with live_agents(redis_url) as first, live_agents(redis_url) as second:
        await build(first, [joins("AGENT-A")])
        await second.apply([])
        await given(first, ask("one:1", A))
        await second.apply([])
        assert second.view[A].in_flight == 1
        assert second.view[A].spec.capabilities == {"answer": 1.0}


async def test_changes_of_agents_that_are_long_gone_do_not_pile_up(live: LiveAgents, redis_url: str) -> None:
    redis = Redis.from_url(redis_url)
    for number in range(200):
        name = f"AGENT-{number}"
        await live.apply([joins(name), joins(name, version=2, status="gone")])
        await redis.delete(f"ganglion:agents:agent:t/{name}")  # as after a day
    assert await redis.zcard("ganglion:agents:versions") < 50
    await live.apply([joins("AGENT-A")])
    assert list(live.view) == [A]
    await redis.aclose()
