"""Plans: estimates and capabilities from words, templates, rules and strategies, and the graph of the steps."""

from collections.abc import Mapping
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.planner import capabilities, estimate, patterns
from consumers.planner.knowledge import load
from consumers.planner.plan import Asked, UnplannableError, make
from consumers.planner.purse import TooSmallError, divided
from events import Budget, Edge, Estimate, PlanOptions, Step, TaskDecomposed, TaskSpec
from events.critical import critical_path
from events.estimate import LEVELS, is_above, of_hours
from events.ids import derived_id, new_id

NEUTRAL = "Prepare the yearly party of the club."
A_DAY = of_hours(21.0)


def plan(prompt: str = NEUTRAL, *, offered: frozenset[str] = frozenset(), **more: object) -> TaskDecomposed:
    options = PlanOptions.model_validate({name: more.pop(name) for name in [*more] if name in PlanOptions.model_fields})
    spec = TaskSpec.model_validate({"prompt": prompt, **more})
    return make(Asked(new_id(), new_id(), spec, options, offered))


def below(made: TaskDecomposed, parent: UUID | None = None) -> list[Step]:
    return [step for step in made.children if step.parent_id == (parent or made.task_id)]


def names(made: TaskDecomposed) -> list[str]:
    return [step.step for step in below(made)]


def edges_of(made: TaskDecomposed) -> set[tuple[str, str]]:
    name = {step.task_id: step.step for step in below(made)}
    return {(name[edge.before], name[edge.after]) for edge in made.edges if edge.after in name}


def test_an_estimate_is_the_mean_and_deviation_of_its_three_points() -> None:
    one = Estimate(optimistic=1, likely=2, pessimistic=9, confidence=0.5)
    assert (one.expected, round(one.deviation, 4)) == (3.0, 1.3333)


@pytest.mark.parametrize(
    ("hours", "level"),
    [
        *[(0.24, "trivial"), (0.25, "simple"), (0.99, "simple"), (1.0, "moderate"), (3.9, "moderate")],
        *[(4.0, "complex"), (7.9, "complex"), (8.0, "expert")],
    ],
)
def test_hours_say_how_complex_work_is(hours: float, level: str) -> None:
    assert Estimate(optimistic=hours, likely=hours, pessimistic=hours, confidence=1).level == level


@pytest.mark.parametrize(
    ("likely", "best", "worst"), [(0.5, 0.25, 1.0), (2.0, 1.4, 3.0), (5.0, 4.0, 6.5), (8.0, 6.0, 12.0)]
)
def test_the_longer_the_work_the_less_it_can_be_hurried(likely: float, best: float, worst: float) -> None:
    found = of_hours(likely)
    assert (found.optimistic, found.likely, found.pessimistic) == pytest.approx((best, likely, worst))


def test_levels_are_compared_by_their_order_not_as_words() -> None:
    assert [level for level in LEVELS if is_above(level, "moderate")] == ["complex", "expert"]


def test_a_text_is_estimated_by_its_length_its_indicators_and_its_technical_terms() -> None:
    text = " ".join(["must implement the database"] + ["word"] * 196)
    assert estimate.score_of(text) == pytest.approx(1 + 0.1 * (1 + 2) + 0.2)
    found = estimate.of_text(text)
    assert found.likely == pytest.approx(2.0 * 1.5)
    assert found.confidence == pytest.approx(0.3 + 200 / 500)


@pytest.mark.parametrize(("text", "likely"), [("Do it.", 1.0), ("must design " * 1000, 8.0), ("", 2.0)])
def test_an_estimate_of_a_text_has_bounds(text: str, likely: float) -> None:
    assert estimate.of_text(text).likely == likely


def test_nothing_said_and_a_very_long_text_are_no_surer_than_they_may_be() -> None:
    assert estimate.of_text("").confidence == 0.3
    assert estimate.of_text("word " * 5_000).confidence == 0.8


def test_words_count_where_they_begin_and_once() -> None:
    assert estimate.score_of("latest contest") == 1.0
    assert estimate.score_of("testing tests, a TEST") == pytest.approx(1.2)


def test_words_call_for_capabilities_in_their_order() -> None:
    assert len(load().capabilities.words) == 32
    assert capabilities.of_text("Review the design, then fix and debug it.") == (
        "code_review",
        "system_design",
        "debugging",
    )
    assert capabilities.of_text("Sing.") == ("code_generation",)


@pytest.mark.parametrize(
    ("words", "rule", "steps"),
    [
        ("Secure the login with authentication.", "security", 4),
        ("Split the shop into microservices.", "microservice", 6),
        ("Keep the members in a database.", "crud", 5),
        ("Show it all in the UI.", "interface", 5),
    ],
)
def test_each_rule_yields_its_steps(words: str, rule: str, steps: int) -> None:
    made = plan(words)
    assert made.rules == (rule,)
    assert len(below(made)) == steps


def test_of_several_rules_the_highest_rank_counts_and_raises_hours_and_priority() -> None:
    made = plan("Secure the database of the UI.")
    assert (made.rules, names(made)) == (("security",), ["design", "implementation", "testing", "audit"])
    assert {step.priority for step in below(made)} == {"high"}
    assert made.estimate.likely == pytest.approx(1.5 * estimate.of_text("Secure the database of the UI.").likely)
    assert edges_of(made) == {("design", "implementation"), ("implementation", "testing"), ("testing", "audit")}


def test_tests_of_records_take_a_third_and_wait_for_all_else() -> None:
    made = plan("A CRUD for members.", estimate=of_hours(3.0).model_dump())
    share = {step.step: step.estimate.expected / made.total_hours for step in below(made)}
    assert share["tests"] == pytest.approx(0.3, abs=1e-3)
    assert edges_of(made) == {(one, "tests") for one in ("create", "read", "update", "delete")}


def test_a_template_applies_by_the_type_of_the_task_or_by_its_words_from_its_threshold_on() -> None:
    by_type = plan(NEUTRAL, task_type="web_service", estimate=A_DAY.model_dump(), max_depth=1)
    assert (by_type.templates, len(below(by_type))) == (("web_service_implementation",), 5)
    by_words = plan("Rebuild the backend.", estimate=A_DAY.model_dump())
    assert by_words.templates == ("web_service_implementation",)
    too_small = plan("Rebuild the backend.", estimate=of_hours(2.0).model_dump())
    assert too_small.templates == ()
    assert plan("Rebuild the backend.", template="refactoring_task").templates == ("refactoring_task",)


def test_a_templates_hours_are_shares_of_the_tasks() -> None:
    made = plan(NEUTRAL, task_type="refactoring", estimate=of_hours(4.5).model_dump(), max_depth=1)
    shares = [step.estimate.expected / made.total_hours for step in below(made)]
    assert shares == pytest.approx([1 / 9, 2 / 9, 4 / 9, 2 / 9], abs=1e-3)
    assert made.critical_hours == pytest.approx(made.total_hours)


def test_templates_and_rules_can_be_left_out() -> None:
    made = plan("Secure the backend.", estimate=A_DAY.model_dump(), apply_templates=False, apply_rules=False)
    assert (made.templates, made.rules) == ((), ())
    assert made.strategies == ("temporal",)
    assert names(made) == ["analysis", "design", "implementation", "testing", "review"]


def test_many_capabilities_make_a_step_each() -> None:
    made = plan("Design it, review it and deploy it.")
    assert (made.strategies, names(made)) == (("capability",), ["system_design", "code_review", "deployment"])
    assert made.edges == ()
    assert made.children[0].estimate.confidence == pytest.approx(0.6 * made.estimate.confidence, abs=1e-3)


def test_parts_are_as_many_as_levels_lie_between() -> None:
    assert len(patterns.functional("expert", "trivial").phases) == 5
    assert len(patterns.functional("moderate", "simple").phases) == patterns.LEAST


def test_steps_above_the_leaf_are_divided_again_and_no_others() -> None:
    made = plan(NEUTRAL, task_type="backend", estimate=A_DAY.model_dump())
    inner = {step.step: len(below(made, step.task_id)) for step in below(made)}
    assert inner == {"requirements": 0, "design": 5, "implementation": 5, "testing": 5, "deployment": 0}
    assert [step.estimate.level for step in below(made)] == ["moderate", "complex", "expert", "complex", "moderate"]
    flat = plan(NEUTRAL, task_type="backend", estimate=A_DAY.model_dump(), max_depth=1)
    assert len(flat.children) == 5


def test_parents_stand_before_their_steps_and_a_plan_has_a_bound() -> None:
    made = plan(NEUTRAL, estimate=of_hours(1_000.0).model_dump(), max_depth=5, budget=_rich())
    known = {made.task_id}
    for step in made.children:
        assert step.parent_id in known
        known.add(step.task_id)
    assert 30 < len(made.children) <= 40


def test_the_hours_of_the_steps_are_those_of_the_task() -> None:
    made = plan(NEUTRAL, estimate=A_DAY.model_dump())
    assert made.total_hours == pytest.approx(A_DAY.expected, abs=1e-3)


def test_the_critical_path_goes_by_hours_not_by_the_number_of_steps() -> None:
    short = [new_id() for _ in range(4)]
    long = new_id()
    hours = {**dict.fromkeys(short, 0.05), long: 10.0}
    chain = [Edge(before=one, after=other) for one, other in pairwise(short)]
    found = critical_path(hours, chain)
    assert (found.path, found.hours) == ((long,), 10.0)


@pytest.mark.parametrize(
    ("kind", "hours"),
    [("finish_to_start", 5.0), ("start_to_start", 3.0), ("finish_to_finish", 3.0), ("start_to_finish", 3.0)],
)
def test_each_type_of_edge_delays_in_its_own_way(kind: str, hours: float) -> None:
    first, second = new_id(), new_id()
    edge = Edge.model_validate({"before": first, "after": second, "type": kind})
    assert critical_path({first: 3.0, second: 2.0}, [edge]).hours == hours


def test_a_step_asks_for_its_arm_if_somebody_has_it_else_for_what_the_task_asks() -> None:
    made = plan(NEUTRAL, offered=frozenset({"system_design"}), required_capabilities=("chat",))
    wanted = {step.step: step.required_capabilities for step in below(made)}
    assert (wanted["design"], wanted["testing"]) == (("system_design",), ("chat",))
    assert {step.arm for step in below(made)} >= {"system_design", "code_review"}


def test_a_budget_that_does_not_go_round_is_refused() -> None:
    for small in ({"max_tokens": 30}, {"max_time_seconds": 5}):
        with pytest.raises(UnplannableError, match="budget_too_small"):
            plan("word " * 10, budget=small)


def test_an_unknown_template_and_a_task_that_says_too_much_are_refused() -> None:
    with pytest.raises(UnplannableError, match="unknown_template"):
        plan(NEUTRAL, template="unheard_of")
    with pytest.raises(UnplannableError, match="too_large_to_decompose"):
        plan(NEUTRAL, context={"data": {"x": "y" * 900_000}})


def test_the_same_plan_has_the_same_ids() -> None:
    spec = TaskSpec(prompt=NEUTRAL)
    task, wanted = new_id(), new_id()
    first, again = (make(Asked(task, wanted, spec, PlanOptions())) for _ in range(2))
    assert first == again
    assert first.children[0].task_id == derived_id(wanted, "analysis")


WORDS = st.lists(
    st.sampled_from(["secure", "microservice", "database", "ui", "design", "review", "deploy", "party", "must"]),
    min_size=1,
    max_size=60,
).map(" ".join)


BUDGETS = st.builds(
    Budget,
    max_tokens=st.integers(1, 100_000),
    max_time_seconds=st.integers(1, 3_600),
    max_cost_usd=st.floats(0, 100),
)


@given(
    prompt=WORDS,
    hours=st.none() | st.floats(0.1, 1_000).map(of_hours),
    kind=st.sampled_from([None, "backend", "optimization"]),
    depth=st.integers(1, 5),
    budget=BUDGETS,
)
def test_whatever_is_planned_adds_up(
    prompt: str, hours: Estimate | None, kind: str | None, depth: int, budget: Budget
) -> None:
    try:
        made = plan(prompt, estimate=hours, task_type=kind, max_depth=depth, budget=budget)
    except UnplannableError:
        return
    whole: Mapping[UUID, float] = {made.task_id: made.estimate.expected} | {
        step.task_id: step.estimate.expected for step in made.children
    }
    for parent, expected in whole.items():
        inner = below(made, parent)
        assert not inner or 3 <= len(inner) <= 10
        assert not inner or sum(step.estimate.expected for step in inner) == pytest.approx(expected, abs=1e-3)
    spent = [step.budget for step in made.children]
    assert sum(one.max_tokens for one in spent) <= budget.max_tokens
    assert sum(one.max_time_seconds for one in spent) <= budget.max_time_seconds
    assert sum(one.max_cost_usd for one in spent) <= budget.max_cost_usd + 1e-9
    assert all(one.max_tokens >= 2 * len(prompt.split()) for one in spent)
    order = [step.task_id for step in made.children]
    assert all(order.index(edge.before) < order.index(edge.after) for edge in made.edges)


@given(BUDGETS, st.integers(3, 10))
def test_a_purse_is_never_more_than_it_was(budget: Budget, count: int) -> None:
    try:
        shares = divided(budget, [1 / count] * count, 1)
    except TooSmallError:
        return
    everything = (*shares.given, shares.rest)
    assert sum(one.max_tokens for one in everything) == budget.max_tokens
    assert sum(one.max_time_seconds for one in everything) == budget.max_time_seconds
    assert sum(one.max_cost_usd for one in everything) <= budget.max_cost_usd + 1e-9


def _rich() -> dict[str, object]:
    return {"max_tokens": 100_000, "max_time_seconds": 3_600, "max_cost_usd": 100}
