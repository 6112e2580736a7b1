"""Who is chosen, by requirements.md O.5: hard filters, one score, quality over 50 runs, tiers, load levels."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.router import scoring
from consumers.router.router import MAX_CANDIDATES, named
from consumers.router.scoring import (
    IMPLIED,
    WEIGHTS,
    Needs,
    entrants,
    load_level,
    never,
    not_now,
    parts_of,
    quality,
    rank,
    ranked,
    score_of,
    tier_of,
)
from events.task import Routing
from gateway.agents.views import HEARTBEAT_SECONDS
from storage.live.store import BEAT_SECONDS, LEASE_SECONDS
from storage.live.view import BREAK_SECONDS, WINDOW, AgentSpec, LiveAgent

NOW = 1_000_000
WINDOWS = st.text("spf", max_size=50)


def agent(name: str = "AGENT-A", *, tenant: str = "t", **more: object) -> LiveAgent:
    spec = {
        "owner": "o",
        "name": name,
        "agent_type": "implementer",
        "capabilities": {"answer": 1.0},
        "technologies": [],
        "outside": True,
    }
    said = {key: more.pop(key) for key in list(more) if key in spec}
    values: dict[str, object] = {
        "status": "active",
        "capacity": 4,
        "in_flight": 0,
        "heard_until": NOW + 1,
        "window": "",
        "opened_at": 0,
        "probing": False,
        "assigned_at": 0,
        "said": "",
        "said_count": 0,
    }
    described = AgentSpec.model_validate({**spec, **said})
    return LiveAgent(key=f"{tenant}/{name}", spec=described, **{**values, **more})  # type: ignore[arg-type]  # its fields


def needs(*capabilities: str, **routing: object) -> Needs:
    return Needs.of("t", "goal", capabilities, Routing.model_validate(routing) if routing else None)


def chosen(*agents: LiveAgent, of: Needs | None = None) -> str | None:
    ranking = rank(agents, of or needs("answer"), NOW)
    return ranking.order[0].agent_id if ranking.room else None


def test_the_weights_are_the_documents_and_make_one() -> None:
    assert dict(WEIGHTS) == {"quality": 0.35, "capability": 0.25, "idle": 0.2, "technology": 0.1, "preference": 0.1}
    assert sum(WEIGHTS.values()) == pytest.approx(1)


def test_a_new_agent_begins_at_three_quarters_as_competent_and_is_routed() -> None:
    assert quality("") == 0.75
    assert tier_of(quality("")) == "competent"
    assert chosen(agent()) == "AGENT-A"


@pytest.mark.parametrize(
    ("window", "expected"),
    [("s" * 50, 53 / 54), ("f" * 50, 3 / 54), ("p" * 4, 5 / 8), ("f" + "s" * 50, 53 / 54), ("sf", 4 / 6)],
)
def test_quality_is_the_share_of_the_last_fifty_with_the_prior_of_four(window: str, expected: float) -> None:
    assert quality(window) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("share", "tier"),
    [
        *((1.0, "elite"), (0.95, "elite"), (0.949, "advanced"), (0.85, "advanced"), (0.849, "competent")),
        *((0.70, "competent"), (0.699, "trainee"), (0.50, "trainee"), (0.499, "degraded"), (0.0, "degraded")),
    ],
)
def test_tiers_begin_where_the_document_says(share: float, tier: str) -> None:
    assert tier_of(share) == tier


@pytest.mark.parametrize(
    ("in_flight", "level"),
    [
        *((0, "idle"), (20, "idle"), (21, "optimal"), (70, "optimal"), (71, "high")),
        *((90, "high"), (91, "critical"), (100, "critical"), (101, "overloaded")),
    ],
)
def test_there_is_one_table_of_load_levels(in_flight: int, level: str) -> None:
    assert load_level(in_flight, 100) == level


@pytest.mark.parametrize(
    ("excluded", "why"),
    [
        (agent(capabilities={"chat": 1.0}), "lacks answer"),
        (agent(status="draining"), "draining"),
        (agent(heard_until=NOW), "offline"),
        (agent(in_flight=4), "busy 4/4"),
        (agent(opened_at=NOW), "breaker open"),
        (agent(opened_at=NOW - 60_000, probing=True), "breaker half open, probe under way"),
        (agent(technologies=["php"]), "uses php"),
        (agent(window="f" * 20), "below trainee"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_hard_filter_excludes_and_says_why(excluded: LiveAgent, why: str) -> None:
    wanted = needs("answer", avoid_technologies=["php"], min_tier="trainee")
    assert (never(excluded, wanted) or not_now(excluded, NOW)) == why
    ranking = rank([excluded, agent("AGENT-B")], wanted, NOW)
    assert ranking.order[0].agent_id == "AGENT-B"
    assert {one.agent_id: one.excluded for one in ranking.candidates} == {"AGENT-A": why, "AGENT-B": None}


def test_times_are_the_documents() -> None:
    """O.2: three missed heartbeats of 30 s; O.5: a breaker rests for a minute, a record is of fifty runs."""
    assert (BEAT_SECONDS, LEASE_SECONDS, BREAK_SECONDS, WINDOW) == (3 * HEARTBEAT_SECONDS, 90.0, 60.0, 50)


def test_a_half_open_breaker_lets_one_probe_through() -> None:
    assert chosen(agent(opened_at=NOW - 60_000)) == "AGENT-A"


@pytest.mark.parametrize(
    ("better", "worse", "wanted"),
    [
        (agent(window="s" * 10), agent("AGENT-B", window="f" * 4), needs("answer")),
        (agent(), agent("AGENT-B", capabilities={"answer": 0.7}), needs("answer")),
        (agent(in_flight=1), agent("AGENT-B", in_flight=2), needs("answer")),
        (agent(technologies=["rust"]), agent("AGENT-B"), needs("answer", technologies=["rust"])),
        (agent(agent_type="reviewer"), agent("AGENT-B"), needs("answer", preferred_agent_type="reviewer")),
        (agent(), agent("AGENT-B"), needs("answer", preferred_agent_ids=["AGENT-A"])),
        (agent(in_flight=1, assigned_at=2), agent("AGENT-0", in_flight=2, capacity=8), needs("answer")),
        (agent(assigned_at=1), agent("AGENT-0", assigned_at=2), needs("answer")),
    ],
    ids=[
        *("quality", "capability", "idle", "technology", "preferred type", "preferred id"),
        *("fewest in hand", "oldest assignment"),
    ],
)
def test_each_part_decides_when_all_else_is_equal(better: LiveAgent, worse: LiveAgent, wanted: Needs) -> None:
    assert chosen(better, worse, of=wanted) == chosen(worse, better, of=wanted) == "AGENT-A"


def test_a_preferred_type_does_not_make_all_tiers_equal() -> None:
    """The origin's clamp did: 1.0 for trainee and elite alike."""
    wanted = needs("answer", preferred_agent_type="implementer")
    scores = [score_of(parts_of(agent(window=window), wanted)) for window in ("s" * 50, "sf" * 25, "f" * 50)]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == 3


@pytest.mark.parametrize("place", [0, 31, 32, 49])
def test_a_decision_names_who_was_chosen_with_its_score_however_many_were_better(place: int) -> None:
    crowd = [agent(f"AGENT-{n}", in_flight=0 if n < place else 1) for n in range(50)]
    judged = rank(crowd, needs("answer"), NOW).candidates
    shown, score = named(judged, judged[place].agent_id)
    assert len(shown) == MAX_CANDIDATES
    assert judged[place] in shown
    assert score == judged[place].score != 0


def test_a_task_that_names_no_capability_needs_what_its_kind_implies() -> None:
    assert {kind: Needs.of("t", kind, (), None).capabilities for kind in IMPLIED} == dict(IMPLIED)
    assert chosen(agent(capabilities={"count-words": 1.0}), of=needs()) is None


def test_equal_needs_share_a_queue_and_others_do_not() -> None:
    same = [needs("b", "a"), needs("a", "b", "a"), needs("a", "b", technologies=["x"], preferred_agent_ids=["A"])]
    assert {one.queue for one in same} == {"a,b||"}
    assert needs("a", avoid_technologies=["php"], min_tier="elite").queue == "a|php|elite"


@given(
    st.lists(
        st.builds(
            agent,
            st.sampled_from([f"AGENT-{n}" for n in range(6)]),
            window=WINDOWS,
            in_flight=st.integers(0, 5),
            status=st.sampled_from(["active", "draining", "offline"]),
            opened_at=st.sampled_from([0, NOW, NOW - 60_000]),
            probing=st.booleans(),
            heard_until=st.sampled_from([0, NOW + 1]),
            assigned_at=st.integers(0, 5),
            technologies=st.lists(st.sampled_from(["php", "rust"])),
        ),
        max_size=6,
        unique_by=lambda one: one.key,
    )
)
def test_no_excluded_agent_is_ever_first_and_every_agent_has_a_reason_or_a_score(agents: list[LiveAgent]) -> None:
    wanted = needs("answer", avoid_technologies=["php"], technologies=["rust"])
    ranking = rank(agents, wanted, NOW)
    assert {one.agent_id for one in ranking.candidates} == {one.agent_id for one in agents}
    for candidate in ranking.candidates:
        assert candidate.excluded is not None or candidate.score is not None
        assert candidate.score is None or 0 <= candidate.score <= 1
    free = ranking.order[: ranking.room]
    assert all(never(one, wanted) is None and not_now(one, NOW) is None for one in free)
    scores = [score_of(parts_of(one, wanted)) for one in free]
    assert scores == sorted(scores, reverse=True)


@given(
    st.lists(
        st.tuples(st.integers(0, 4), WINDOWS, st.sampled_from(["active", "draining"]), st.booleans()),
        min_size=1,
        max_size=8,
    )
)
def test_what_is_remembered_of_an_agent_is_what_judging_it_anew_would_say(
    moments: list[tuple[int, str, str, bool]],
) -> None:
    two = [agent("AGENT-A"), agent("AGENT-B", in_flight=2)]
    remembered = entrants(two, needs("answer"))
    for in_flight, window, status, probing in [*moments, *moments]:
        two[0].in_flight, two[0].window, two[0].probing = in_flight, window, probing
        two[0].status = status  # type: ignore[assignment]  # one of the two above
        two[0].opened_at = NOW - 60_000 if probing else 0
        found = ranked(remembered, NOW)
        scoring._judged.cache_clear()
        assert found == rank(two, needs("answer"), NOW)
